import NIOCore

/// Writes one JSON text, front to back, into a buffer that can go out as it is.
///
/// Every event passes here once per dialect, so there is no tree and no reflection between a value and its bytes.
/// The caller is trusted with the structure; commas are the writer's:
///
///     var json = JSONWriter(capacity: 512)
///     json.beginObject()
///     json.member("type", "campaigntip.notify")
///     json.key("amounts")
///     json.beginArray()
///     json.value(500)
///     json.endArray()
///     json.endObject()
///     let bytes = json.finish()
public struct JSONWriter: Sendable {
    /// What has been written so far. An array, because a text is made of many small pieces and an array takes those at a third
    /// of what a `ByteBuffer` does; the one copy at the end costs less than that.
    private var bytes: [UInt8] = []

    /// A comma stands between a value and what follows it in the same container; after an opening bracket or a
    /// name there is none. So the last thing written decides alone, and nesting needs no stack.
    private var needsComma = false

    /// Open containers, to catch a forgotten `end`.
    private var depth = 0

    public init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    /// The text, complete. To leave a container open is a mistake in the program.
    public consuming func finish() -> ByteBuffer {
        precondition(depth == 0, "a JSON container was left open")
        return ByteBuffer(bytes: bytes)
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
        depth += 1
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
        depth -= 1
    }
}

// MARK: - Structure

extension JSONWriter {
    public mutating func beginObject() { begin(UInt8(ascii: "{")) }
    public mutating func endObject() { end(UInt8(ascii: "}")) }
    public mutating func beginArray() { begin(UInt8(ascii: "[")) }
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    /// The name of the next value. A name in the source code needs no look at its characters: it must be one that
    /// JSON writes as it is.
    public mutating func key(_ name: StaticString) {
        assert(
            name.withUTF8Buffer { Self.firstEscape(in: $0, from: 0) } == name.utf8CodeUnitCount,
            "write this name with key(String)")
        separate()
        bytes.append(UInt8(ascii: "\""))
        append(name)
        append("\":")
        needsComma = false
    }

    /// The name of the next value, any string. Disfavoured, or each literal would come here.
    @_disfavoredOverload
    public mutating func key(_ name: String) {
        writeQuoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }
}

// MARK: - Values

extension JSONWriter {
    public mutating func value(_ string: String) {
        writeQuoted(string)
    }

    /// The string, or `null`.
    public mutating func value(_ string: String?) {
        if let string { value(string) } else { null() }
    }

    public mutating func value(_ integer: Int) {
        value(Int64(integer))
    }

    public mutating func value(_ integer: Int64) {
        separate()
        appendDigits(of: integer)
    }

    private mutating func appendDigits(of integer: Int64) {
        if integer < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = integer.magnitude
        // Twenty digits are the most that 64 bits have; they come from behind.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = 20
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }

    public mutating func value(_ bool: Bool) {
        separate()
        append(bool ? "true" : "false")
    }

    public mutating func null() {
        separate()
        append("null")
    }

    /// A value that is JSON already. It is not looked at.
    public mutating func raw(_ json: ByteBuffer) {
        separate()
        json.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
    }

    /// A value that is JSON already. It is not looked at.
    public mutating func raw(_ json: [UInt8]) {
        separate()
        bytes.append(contentsOf: json)
    }

    /// A value that is JSON already. It is not looked at.
    public mutating func raw(_ json: String) {
        separate()
        bytes.append(contentsOf: json.utf8)
    }
}

// MARK: - Members

extension JSONWriter {
    public mutating func member(_ name: StaticString, _ value: String) {
        key(name)
        self.value(value)
    }

    /// The member is there in any case; without a string it is `null`.
    public mutating func member(_ name: StaticString, _ value: String?) {
        key(name)
        self.value(value)
    }

    public mutating func member(_ name: StaticString, _ value: Int) {
        key(name)
        self.value(value)
    }

    /// The member is there in any case; without a number it is `null`.
    public mutating func member(_ name: StaticString, _ value: Int?) {
        key(name)
        if let value { self.value(value) } else { null() }
    }

    public mutating func member(_ name: StaticString, _ value: Int64) {
        key(name)
        self.value(value)
    }

    public mutating func member(_ name: StaticString, _ value: Int64?) {
        key(name)
        if let value { self.value(value) } else { null() }
    }

    public mutating func member(_ name: StaticString, _ value: Bool) {
        key(name)
        self.value(value)
    }
}

// MARK: - Escapes

extension JSONWriter {
    private mutating func writeQuoted(_ string: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { utf8 in
            var start = 0
            while start < utf8.count {
                let end = Self.firstEscape(in: utf8, from: start)
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[start..<end]))
                guard end < utf8.count else { return }
                start = end + writeEscape(of: utf8, at: end)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Where the next character stands that may not stand for itself, or the end.
    ///
    /// Beside what JSON demands these are U+2028 and U+2029: JSON allows them, JavaScript before 2019 takes them
    /// for ends of lines, and messages end up in scripts and in `data:` lines.
    private static func firstEscape(in utf8: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index < utf8.count {
            let byte = utf8[index]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return index }
            // Swift's strings are valid UTF-8: behind E2 there are two more bytes.
            if byte == 0xE2, utf8[index + 1] == 0x80, utf8[index + 2] | 1 == 0xA9 { return index }
            index += 1
        }
        return index
    }

    /// Writes the escape for the character at `index` and returns the bytes that the character takes.
    private mutating func writeEscape(of utf8: UnsafeBufferPointer<UInt8>, at index: Int) -> Int {
        switch utf8[index] {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        case 0xE2:
            append(utf8[index + 2] == 0xA8 ? "\\u2028" : "\\u2029")
            return 3
        case let control:
            append(control < 0x10 ? "\\u000" : "\\u001")
            let digit = control & 0x0F
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        return 1
    }
}
