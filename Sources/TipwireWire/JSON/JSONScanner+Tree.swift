extension JSONScanner {
    /// Up to this many members, a new name is compared with each before it. Beyond it a set is kept: a body of ten
    /// thousand names must not cost fifty million comparisons.
    private static let membersComparedOneByOne = 12

    /// Reads one value into memory and leaves the cursor behind it.
    mutating func tree() throws(JSONError) -> JSONValue {
        values += 1
        guard values <= Self.maximumValues else {
            throw error("The text holds more than \(Self.maximumValues) values.")
        }
        switch current {
        case UInt8(ascii: "{"):
            return .object(try objectTree())
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { (scanner) throws(JSONError) in elements.append(try scanner.tree()) }
            return .array(elements)
        case UInt8(ascii: "\""):
            return .string(try decode(string()))
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            return try literal().map(JSONValue.bool) ?? .null
        default:
            let range = try number()
            return .number(JSONNumber(spelling: String(decoding: bytes[range], as: UTF8.self)))
        }
    }

    private mutating func objectTree() throws(JSONError) -> JSONObject {
        var members: [JSONObject.Member] = []
        // By bytes, for the reason given at `JSONObject.subscript`.
        var names: Set<[UInt8]> = []
        try object { (scanner, token) throws(JSONError) in
            let name = try scanner.decode(token)
            let isNew: Bool
            if members.count < Self.membersComparedOneByOne {
                isNew = !members.contains { $0.name.hasSameBytes(as: name) }
            } else {
                if names.isEmpty { names = Set(members.map { Array($0.name.utf8) }) }
                isNew = names.insert(Array(name.utf8)).inserted
            }
            guard isNew else {
                throw scanner.error("An object has two members of one name.", at: token.range.lowerBound - 1)
            }
            members.append(JSONObject.Member(name: name, value: try scanner.tree()))
        }
        return JSONObject(members: members)
    }

    /// The string that a checked token stands for. A lone surrogate is an error, for no Swift string can hold it.
    func decode(_ token: StringToken) throws(JSONError) -> String {
        guard token.isEscaped else { return String(decoding: bytes[token.range], as: UTF8.self) }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(token.range.count)
        var position = token.range.lowerBound
        while position < token.range.upperBound {
            let byte = bytes[position]
            if byte != UInt8(ascii: "\\") {
                decoded.append(byte)
                position += 1
            } else if bytes[position + 1] == UInt8(ascii: "u") {
                let (scalar, length) = try escapedScalar(at: position, before: token.range.upperBound)
                decoded.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)
                position += length
            } else {
                decoded.append(Self.meaning(ofEscape: bytes[position + 1]))
                position += 2
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// The scalar of one `\u` escape, or of the two that spell a surrogate pair, and the bytes that it takes.
    private func escapedScalar(
        at position: Int, before end: Int
    ) throws(JSONError) -> (scalar: Unicode.Scalar, length: Int) {
        guard let first = codeUnit(at: position + 2) else {
            throw error("A \\u escape needs four hexadecimal digits.", at: position)
        }
        if let scalar = Unicode.Scalar(first) { return (scalar, 6) }
        guard UTF16.isLeadSurrogate(first), position + 12 <= end,
            bytes[position + 6] == UInt8(ascii: "\\"), bytes[position + 7] == UInt8(ascii: "u"),
            let second = codeUnit(at: position + 8), UTF16.isTrailSurrogate(second)
        else {
            throw error("A \\u escape is half of a surrogate pair.", at: position)
        }
        return (UTF16.decode(UTF16.EncodedScalar([first, second])), 12)
    }

    private static func meaning(ofEscape byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: byte
        }
    }
}
