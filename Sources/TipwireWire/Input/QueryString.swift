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
        var target = String(target)
        target.withUTF8 { bytes in
            guard let mark = bytes.firstIndex(of: UInt8(ascii: "?")) else { return }
            add(UnsafeBufferPointer(rebasing: bytes[(mark + 1)...].prefix { $0 != UInt8(ascii: "#") }))
        }
    }

    /// Over bytes in memory: each request that opens a stream passes here.
    private mutating func add(_ query: UnsafeBufferPointer<UInt8>) {
        var start = 0
        while start < query.count {
            let end = query[start...].firstIndex(of: UInt8(ascii: "&")) ?? query.count
            defer { start = end + 1 }
            if start == end { continue }
            let pair = query[start..<end]
            let sign = pair.firstIndex(of: UInt8(ascii: "=")) ?? end
            let name = Self.decode(pair[..<sign])
            guard values[name] == nil else {
                repeated.insert(name)
                continue
            }
            values[name] = sign < end ? Self.decode(pair[(sign + 1)...]) : ""
        }
    }

    /// Adds the parameters of a form (`application/x-www-form-urlencoded`), behind those that are there.
    public mutating func add(form: ByteBuffer) {
        form.withUnsafeReadableBytes { add($0.assumingMemoryBound(to: UInt8.self)) }
    }

    public var names: some Collection<String> { values.keys }

    public subscript(name: String) -> String? { values[name] }

    /// The value, nil when it is absent or empty.
    public func nonEmpty(_ name: String) -> String? {
        guard let value = values[name], !value.isEmpty else { return nil }
        return value
    }

    private static func decode(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> String {
        // As it is, most of the time.
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(decoding: UnsafeBufferPointer(rebasing: bytes), as: UTF8.self)
        }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "+"):
                decoded.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                if index + 1 < bytes.endIndex, let high = hexDigit(bytes[index]), let low = hexDigit(bytes[index + 1]) {
                    decoded.append(high << 4 | low)
                    index += 2
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
