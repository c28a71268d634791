import NIOCore

/// The parameters of a request's query.
///
/// `+` and `%20` both are a space; of a repeated parameter the first counts; a percent sign that begins no escape stands
/// for itself, since real clients put unescaped text here. Bytes that aren't UTF-8 become U+FFFD.
public struct QueryString: Sendable {
    private var values: [String: String] = [:]
    /// Names that came more than once; the first value counts.
    public private(set) var repeated: Set<String> = []

    /// - Parameter target: a request target or URL; what follows its first `?`, up to a `#`, is read.
    public init(target: some StringProtocol) {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return }
        add(target.utf8[target.utf8.index(after: mark)...].prefix { $0 != UInt8(ascii: "#") })
    }

    private mutating func add(_ query: some Collection<UInt8>) {
        for pair in query.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decode(parts[0])
            guard values[name] == nil else {
                repeated.insert(name)
                continue
            }
            values[name] = parts.count > 1 ? Self.decode(parts[1]) : ""
        }
    }

    /// Adds the parameters of a form (`application/x-www-form-urlencoded`), behind those that are there.
    public mutating func add(form: ByteBuffer) { add(form.readableBytesView) }

    public var names: some Collection<String> { values.keys }

    public subscript(name: String) -> String? { values[name] }

    /// The value, nil when it is absent or empty.
    public func nonEmpty(_ name: String) -> String? {
        guard let value = values[name], !value.isEmpty else { return nil }
        return value
    }

    private static func decode(_ bytes: some Collection<UInt8>) -> String {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index != bytes.endIndex {
            let byte = bytes[index]
            index = bytes.index(after: index)
            switch byte {
            case UInt8(ascii: "+"):
                decoded.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                let digits = bytes[index...].prefix(2).compactMap(hexDigit)
                if digits.count == 2 {
                    decoded.append(digits[0] << 4 | digits[1])
                    index = bytes.index(index, offsetBy: 2)
                } else {
                    decoded.append(byte)
                }
            default:
                decoded.append(byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
