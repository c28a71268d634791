import NIOCore

/// What a statement's `$1` is given, as PostgreSQL reads it.
enum PostgresValue: Sendable {
    case null
    case int(Int64)
    case bool(Bool)
    case text(String)
    case bytes(ByteBuffer)
    // Lists, for `unnest($1::bigint[], …)` and `= ANY($1)`.
    case ints([Int64?])
    case texts([String?])
    case bools([Bool])
    case blobs([ByteBuffer?])

    /// Its text, ended by a zero as C wants it; nil for NULL.
    ///
    /// Throws for text that has a zero in it, which PostgreSQL can't keep.
    func encoded() throws -> [CChar]? {
        var bytes: [UInt8] = []
        switch self {
        case .null: return nil
        case .int(let number): bytes += String(number).utf8
        case .bool(let flag): bytes.append(UInt8(ascii: flag ? "t" : "f"))
        case .text(let text): bytes += text.utf8
        case .bytes(let buffer): Self.append(hex: buffer, to: &bytes)
        case .ints(let numbers):
            Self.append(list: numbers, to: &bytes) { number, bytes in bytes += String(number).utf8 }
        case .texts(let texts):
            Self.append(list: texts, to: &bytes) { text, bytes in Self.append(quoted: text, to: &bytes) }
        case .bools(let flags):
            Self.append(list: flags, to: &bytes) { flag, bytes in bytes.append(UInt8(ascii: flag ? "t" : "f")) }
        case .blobs(let buffers):
            Self.append(list: buffers, to: &bytes) { buffer, bytes in
                // Quoted, and so with two backslashes.
                bytes += #""\"#.utf8
                Self.append(hex: buffer, to: &bytes)
                bytes.append(UInt8(ascii: "\""))
            }
        }
        guard !bytes.contains(0) else {
            throw PostgresError(
                state: PostgresError.characterNotInRepertoire, message: "text with a zero byte can't be kept",
                constraint: nil)
        }
        bytes.append(0)
        return bytes.map { CChar(bitPattern: $0) }
    }

    private static func append<Element>(
        list: [Element?], to bytes: inout [UInt8], _ body: (Element, inout [UInt8]) -> Void
    ) {
        bytes.append(UInt8(ascii: "{"))
        for (index, element) in list.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            if let element { body(element, &bytes) } else { bytes += "NULL".utf8 }
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private static func append(quoted text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func append(hex buffer: ByteBuffer, to bytes: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        bytes += #"\x"#.utf8
        for byte in buffer.readableBytesView {
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        }
    }
}

/// What can be given to a statement.
protocol PostgresEncodable {
    var postgresValue: PostgresValue { get }
}

/// What a column can be read as. The statement says what the column is; anything else is a fault of this program.
protocol PostgresDecodable {
    /// - Parameter text: nil for NULL.
    static func decode(_ text: PostgresText?) -> Self
}

/// A column's value, which lives as long as its result.
struct PostgresText {
    let bytes: UnsafeRawBufferPointer
    let isByteArray: Bool

    var string: String { String(decoding: bytes, as: UTF8.self) }
}

extension PostgresValue: PostgresEncodable {
    var postgresValue: PostgresValue { self }
}

extension Int: PostgresEncodable, PostgresDecodable {
    var postgresValue: PostgresValue { .int(Int64(self)) }
    static func decode(_ text: PostgresText?) -> Int { Int(Int64.decode(text)) }
}

extension Int64: PostgresEncodable, PostgresDecodable {
    var postgresValue: PostgresValue { .int(self) }

    static func decode(_ text: PostgresText?) -> Int64 {
        guard let bytes = text?.bytes, let first = bytes.first else { preconditionFailure("a number is NULL or empty") }
        let isNegative = first == UInt8(ascii: "-")
        // Negative all the way: there is one more of those.
        let value = bytes.dropFirst(isNegative ? 1 : 0).reduce(Int64(0)) { number, digit in
            precondition((0x30...0x39).contains(digit), "a column is no integer")
            return number * 10 - Int64(digit - 0x30)
        }
        return isNegative ? value : -value
    }
}

extension Bool: PostgresEncodable, PostgresDecodable {
    var postgresValue: PostgresValue { .bool(self) }

    static func decode(_ text: PostgresText?) -> Bool {
        guard let text else { preconditionFailure("a flag is NULL") }
        return text.bytes.first == UInt8(ascii: "t")
    }
}

extension String: PostgresEncodable, PostgresDecodable {
    var postgresValue: PostgresValue { .text(self) }

    static func decode(_ text: PostgresText?) -> String {
        guard let text else { preconditionFailure("a text is NULL") }
        return text.string
    }
}

extension ByteBuffer: PostgresEncodable, PostgresDecodable {
    var postgresValue: PostgresValue { .bytes(self) }

    /// The bytes of a `bytea`; of any other column those of its text.
    static func decode(_ text: PostgresText?) -> ByteBuffer {
        guard let text else { preconditionFailure("bytes are NULL") }
        guard text.isByteArray else { return ByteBuffer(bytes: text.bytes) }
        let digits = text.bytes.dropFirst(2)
        func value(_ digit: UInt8) -> UInt8 { digit >= 0x61 ? digit - 0x61 + 10 : digit - 0x30 }
        var buffer = ByteBufferAllocator().buffer(capacity: digits.count / 2)
        var index = digits.startIndex
        while index < digits.endIndex {
            buffer.writeInteger(value(digits[index]) << 4 | value(digits[index + 1]))
            index += 2
        }
        return buffer
    }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    var postgresValue: PostgresValue { self?.postgresValue ?? .null }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    static func decode(_ text: PostgresText?) -> Wrapped? { text == nil ? nil : .some(Wrapped.decode(text)) }
}

/// What lists are made of.
protocol PostgresListable {
    static func postgresValue(of list: [Self]) -> PostgresValue
}

extension Int64: PostgresListable {
    static func postgresValue(of list: [Int64]) -> PostgresValue { .ints(list) }
}

extension String: PostgresListable {
    static func postgresValue(of list: [String]) -> PostgresValue { .texts(list) }
}

extension Array: PostgresEncodable where Element: PostgresListable {
    var postgresValue: PostgresValue { Element.postgresValue(of: self) }
}
