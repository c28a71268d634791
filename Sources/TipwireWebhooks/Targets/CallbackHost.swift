import TipwireCore

/// Reads the host of a callback: a name, an IPv4 address in its usual form, or an IPv6 address in brackets.
enum CallbackHost {
    /// Longest name and longest label of one (RFC 1035, section 2.3.4), in characters.
    private static let longestName = 253
    private static let longestLabel = 63

    static func read(_ text: Substring, guardedBy addresses: AddressGuard) throws(CallbackRefusal) -> CallbackURL.Host {
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { throw .notASCII }
        if text.hasPrefix("[") {
            return try .address(checked(ipv6(text), written: text, by: addresses))
        }
        guard !text.utf8.contains(UInt8(ascii: "%")) else { throw .percentEncodedHost }
        guard !text.hasSuffix(".") else { throw text.utf8.count == 1 ? .host : .trailingDot }
        let name = text.lowercased()
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        if isNumber(labels[labels.count - 1]) {
            return try .address(checked(ipv4(labels, written: name), written: text, by: addresses))
        }
        guard name.utf8.count <= longestName, labels.allSatisfy(isLabel) else { throw .host }
        try refuseLocal(name, addresses)
        return .name(name)
    }

    private static func checked(
        _ address: IPAddress, written: Substring, by addresses: AddressGuard
    ) throws(CallbackRefusal) -> IPAddress {
        guard let rule = addresses.refusing(address) else { return address }
        throw .address(AddressRefusal(host: String(written), address: address, rule: rule))
    }

    private static func ipv6(_ text: Substring) throws(CallbackRefusal) -> IPAddress {
        let inner = text.dropFirst().dropLast()
        guard !inner.utf8.contains(UInt8(ascii: "%")) else { throw .zone }
        guard let address = IPAddress(String(inner)), address.family == .ipv6 else { throw .host }
        return address
    }

    /// A host whose last label is a number is an IPv4 address to every reader, the lenient ones included (WHATWG URL,
    /// "ends in a number"). Those read hexadecimal, octal and fewer than four parts too, not all of them alike; so
    /// only the one form that none doubts is taken, and the others are told what they are.
    private static func ipv4(_ labels: [Substring], written: String) throws(CallbackRefusal) -> IPAddress {
        if let address = IPAddress(written), address.family == .ipv4 { return address }
        guard let bits = lenientIPv4(labels) else { throw .host }
        throw .oddAddress(written: written, address: IPAddress(ipv4: bits))
    }

    /// As `inet_aton` reads it: one to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`); the last fills
    /// all the bytes that are left.
    private static func lenientIPv4(_ labels: [Substring]) -> UInt32? {
        guard labels.count <= 4 else { return nil }
        var parts: [UInt64] = []
        for label in labels {
            guard let part = number(label) else { return nil }
            parts.append(part)
        }
        let last = parts.removeLast()
        guard parts.allSatisfy({ $0 <= 255 }), last < 1 << UInt64(8 * (4 - parts.count)) else { return nil }
        let leading = parts.enumerated().reduce(UInt64(0)) { $0 | $1.element << UInt64(24 - 8 * $1.offset) }
        return UInt32(leading | last)
    }

    private static func number(_ label: Substring) -> UInt64? {
        let (digits, radix): (Substring, Int) =
            if label.hasPrefix("0x") { (label.dropFirst(2), 16) } else if label.hasPrefix("0"), label != "0" {
                (label.dropFirst(), 8)
            } else { (label, 10) }
        // `0x` alone is zero; a sign, which `UInt64` would take, is none of a number's here.
        if digits.isEmpty { return radix == 16 ? 0 : nil }
        guard !digits.hasPrefix("+"), !digits.hasPrefix("-") else { return nil }
        return UInt64(digits, radix: radix)
    }

    private static func isNumber(_ label: Substring) -> Bool {
        guard !label.isEmpty else { return false }
        if label.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        return label.hasPrefix("0x") && label.utf8.dropFirst(2).allSatisfy(isHexDigit)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// Letters, digits, hyphens inside, and underscores, which no host name has but many a container does.
    private static func isLabel(_ label: Substring) -> Bool {
        guard (1...longestLabel).contains(label.utf8.count), !label.hasPrefix("-"), !label.hasSuffix("-") else {
            return false
        }
        return label.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
    }

    /// `localhost` and the names below it are this machine wherever they are looked up (RFC 6761, section 6.3).
    private static func refuseLocal(_ name: String, _ addresses: AddressGuard) throws(CallbackRefusal) {
        guard name == "localhost" || name.hasSuffix(".localhost") else { return }
        let ipv4 = IPAddress(ipv4: 0x7F00_0001)
        guard let rule = addresses.refusing(ipv4), addresses.refusing(IPAddress(ipv6: 1)) != nil else { return }
        throw .address(AddressRefusal(host: name, address: ipv4, rule: rule))
    }
}
