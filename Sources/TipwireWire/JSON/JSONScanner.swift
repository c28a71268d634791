import NIOCore

/// A strict RFC 8259 reader over bytes in memory; it walks, checks and never copies.
///
/// The grammar is written down once: `object` and `array` walk a container and leave each value to the caller. A
/// validator, the tree (`JSONScanner+Tree.swift`) and the raw spans (`JSONSpan.swift`) are three callers.
///
/// The scanner borrows its bytes: it exists only inside `scan`, which is the one way to get one.
public struct JSONScanner {
    /// How many containers may lie in each other. It bounds the recursion, so that no text can exhaust a thread's
    /// stack; honest requests here nest three deep.
    public static let maximumDepth = 64

    /// How many values a text may hold that is read into memory as a tree. A batch of tips at its limit has nine
    /// thousand; a body of nothing but zeros would have four million, each fifty times its size.
    public static let maximumValues = 20_000

    /// What lies between the quotes of a string.
    struct StringToken {
        var range: Range<Int>
        /// Without escapes, the bytes are the string.
        var isEscaped: Bool
    }

    let bytes: UnsafeBufferPointer<UInt8>
    private(set) var index = 0
    private var depth = 0
    /// Values that the tree holds so far.
    var values = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// Checks that `text` is one JSON value and nothing else. Lone surrogates in `\u` escapes pass: the grammar
    /// allows them, and who only checks a text has no string to put them into.
    public static func validate(_ text: ByteBuffer) throws(JSONError) {
        try scan(text) { (scanner) throws(JSONError) in try scanner.skipValue() }
    }

    /// Runs `value`, which must consume exactly one value, over a whole text.
    static func scan<Value>(
        _ text: ByteBuffer, value: (inout JSONScanner) throws(JSONError) -> Value
    ) throws(JSONError) -> Value {
        // NIO's `rethrows` would widen the error's type, hence the detour through Result.
        let result = text.withUnsafeReadableBytes { raw -> Result<Value, JSONError> in
            var scanner = JSONScanner(raw.assumingMemoryBound(to: UInt8.self))
            do throws(JSONError) {
                scanner.skipWhiteSpace()
                let found = try value(&scanner)
                scanner.skipWhiteSpace()
                guard scanner.index == scanner.bytes.count else {
                    throw scanner.error("The value is followed by something else.")
                }
                return .success(found)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    func error(_ message: String, at offset: Int? = nil) -> JSONError {
        JSONError(offset: offset ?? index, message: message)
    }

    /// The byte under the cursor, or nil at the end.
    var current: UInt8? {
        index < bytes.count ? bytes[index] : nil
    }

    mutating func skipWhiteSpace() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return
            }
        }
    }
}

// MARK: - Values

extension JSONScanner {
    /// Checks one value and leaves the cursor behind it.
    mutating func skipValue() throws(JSONError) {
        switch current {
        case UInt8(ascii: "{"):
            try object { (scanner, _) throws(JSONError) in try scanner.skipValue() }
        case UInt8(ascii: "["):
            try array { (scanner) throws(JSONError) in try scanner.skipValue() }
        case UInt8(ascii: "\""):
            _ = try string()
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            _ = try literal()
        default:
            _ = try number()
        }
    }

    /// Walks an object; `member` is called with the cursor on each value and must consume it.
    mutating func object(
        _ member: (inout JSONScanner, StringToken) throws(JSONError) -> Void
    ) throws(JSONError) {
        try enter()
        if current == UInt8(ascii: "}") { return leave() }
        while true {
            guard current == UInt8(ascii: "\"") else { throw error("A member's name, in quotes, is missing.") }
            let name = try string()
            skipWhiteSpace()
            guard current == UInt8(ascii: ":") else { throw error("A colon is missing after a member's name.") }
            index += 1
            skipWhiteSpace()
            try member(&self, name)
            guard try another(before: UInt8(ascii: "}")) else { return leave() }
        }
    }

    /// Walks an array; `element` is called with the cursor on each value and must consume it.
    mutating func array(_ element: (inout JSONScanner) throws(JSONError) -> Void) throws(JSONError) {
        try enter()
        if current == UInt8(ascii: "]") { return leave() }
        while true {
            try element(&self)
            guard try another(before: UInt8(ascii: "]")) else { return leave() }
        }
    }

    /// Steps over the opening bracket and the white space behind it.
    private mutating func enter() throws(JSONError) {
        guard depth < Self.maximumDepth else {
            throw error("Values are nested deeper than \(Self.maximumDepth) levels.")
        }
        depth += 1
        index += 1
        skipWhiteSpace()
    }

    private mutating func leave() {
        depth -= 1
        index += 1
    }

    /// True after a comma, with the cursor on what follows it; false with the cursor on the closing bracket.
    private mutating func another(before close: UInt8) throws(JSONError) -> Bool {
        skipWhiteSpace()
        switch current {
        case close:
            return false
        case UInt8(ascii: ","):
            index += 1
            skipWhiteSpace()
            return true
        case nil:
            throw error("The text ends inside an object or array.")
        default:
            throw error("A comma or a closing bracket is missing.")
        }
    }
}

// MARK: - Tokens

extension JSONScanner {
    /// `true`, `false`, or nil for `null`.
    mutating func literal() throws(JSONError) -> Bool? {
        if try consume("true") { return true }
        if try consume("false") { return false }
        if try consume("null") { return nil }
        throw error("This is not a JSON value.")
    }

    private mutating func consume(_ word: StaticString) throws(JSONError) -> Bool {
        let end = index + word.utf8CodeUnitCount
        guard end <= bytes.count else { return false }
        for offset in 0..<word.utf8CodeUnitCount where bytes[index + offset] != word.utf8Start[offset] {
            return false
        }
        index = end
        return true
    }

    /// Checks a number and returns where its spelling stands.
    mutating func number() throws(JSONError) -> Range<Int> {
        let start = index
        if current == UInt8(ascii: "-") { index += 1 }
        switch current {
        case UInt8(ascii: "0"):
            index += 1
            if let byte = current, Self.isDigit(byte) { throw error("A number has a leading zero.", at: start) }
        case .some(let byte) where Self.isDigit(byte):
            skipDigits()
        case nil where index == start:
            throw error("A value is missing at the end of the text.")
        default:
            throw error(index == start ? "This is not a JSON value." : "A number has no digits.", at: start)
        }
        if current == UInt8(ascii: ".") {
            index += 1
            guard skipDigits() > 0 else { throw error("A number has no digits after its point.") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            index += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { index += 1 }
            guard skipDigits() > 0 else { throw error("A number has no digits in its exponent.") }
        }
        return start..<index
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10
    }

    @discardableResult
    private mutating func skipDigits() -> Int {
        let start = index
        while index < bytes.count, Self.isDigit(bytes[index]) { index += 1 }
        return index - start
    }

    /// Checks the string under the cursor, quotes, escapes and UTF-8, and leaves the cursor behind it.
    mutating func string() throws(JSONError) -> StringToken {
        index += 1
        let start = index
        var isEscaped = false
        var seen: UInt8 = 0
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                let range = start..<index
                // Quotes and backslashes are never part of a longer UTF-8 sequence, so the string may be checked
                // whole and afterwards, and only if it has anything beyond ASCII.
                if seen >= 0x80 { try checkUTF8(range) }
                index += 1
                return StringToken(range: range, isEscaped: isEscaped)
            case UInt8(ascii: "\\"):
                isEscaped = true
                try skipEscape()
            case 0..<0x20:
                throw error("A string holds a raw control character; it must be escaped.")
            default:
                seen |= byte
                index += 1
            }
        }
        throw error("A string has no closing quote.", at: start - 1)
    }

    private mutating func skipEscape() throws(JSONError) {
        guard index + 1 < bytes.count else { throw error("The text ends inside an escape.") }
        switch bytes[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 2
        case UInt8(ascii: "u"):
            guard index + 6 <= bytes.count, codeUnit(at: index + 2) != nil else {
                throw error("A \\u escape needs four hexadecimal digits.")
            }
            index += 6
        default:
            throw error("A string holds an unknown escape.")
        }
    }

    /// The four hexadecimal digits at `offset`, which must lie inside the text, as a UTF-16 code unit.
    func codeUnit(at offset: Int) -> UInt16? {
        var unit: UInt16 = 0
        for position in offset..<offset + 4 {
            let byte = bytes[position]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    private func checkUTF8(_ range: Range<Int>) throws(JSONError) {
        var validator = UTF8Validator()
        let slice = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[range]))
        if let offset = validator.firstInvalid(in: slice) {
            throw error("A string is not valid UTF-8.", at: range.lowerBound + offset)
        }
        guard validator.isComplete else {
            throw error("A string is not valid UTF-8.", at: range.upperBound)
        }
    }
}
