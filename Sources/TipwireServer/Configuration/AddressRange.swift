#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A block of IPv4 or IPv6 addresses, as in `10.0.0.0/8` or `fd00::/8`; without a `/` it is one address.
///
/// Bits behind the prefix are dropped (`10.1.2.3/8` is `10.0.0.0/8`). An IPv6 address that only wraps an IPv4 one
/// (`::ffff:10.1.2.3`, which a dual-stack socket reports) counts as the IPv4 address, here and in `contains`.
public struct AddressRange: Sendable, Hashable {
    private let network: Address
    private let prefixLength: Int

    /// Reads CIDR notation; `nil` if it is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = Address(String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            self.network = address
            self.prefixLength = address.family.width
            return
        }
        // `Int` alone would take "+8" and "08".
        guard parts[1].utf8.count <= 3, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let written = Int(parts[1]), String(written) == parts[1]
        else { return nil }
        // The prefix of a wrapped IPv4 address counts the 96 bits of the wrapping too.
        let isWrapped = address.family == .ipv4 && parts[0].contains(":")
        let length = isWrapped ? written - 96 : written
        guard (0...address.family.width).contains(length) else { return nil }
        self.network = address.masked(to: length)
        self.prefixLength = length
    }

    /// Whether the address (no port, no brackets; a zone such as `%eth0` is ignored) lies in this block.
    ///
    /// What is no address lies in none.
    public func contains(_ address: String) -> Bool {
        guard let address = Address(address) else { return false }
        return address.family == network.family && address.masked(to: prefixLength) == network
    }
}

extension AddressRange: CustomStringConvertible {
    public var description: String { "\(network)/\(prefixLength)" }
}

/// One address as a number, so that comparing prefixes is a mask and a comparison.
private struct Address: Hashable {
    enum Family {
        case ipv4, ipv6
        var width: Int { self == .ipv4 ? 32 : 128 }
    }

    var family: Family
    var bits: UInt128

    init?(_ text: String) {
        // Plain bytes instead of `in_addr`: which C module that type belongs to depends on what else is imported.
        var ipv4 = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            self.family = .ipv4
            self.bits = Self.number(ipv4)
            return
        }
        // `inet_pton` knows no zones.
        var ipv6 = [UInt8](repeating: 0, count: 16)
        let withoutZone = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)[0]
        guard inet_pton(AF_INET6, String(withoutZone), &ipv6) == 1 else { return nil }
        let bits = Self.number(ipv6)
        let isWrapped = bits >> 32 == 0xFFFF
        self.family = isWrapped ? .ipv4 : .ipv6
        self.bits = isWrapped ? bits & 0xFFFF_FFFF : bits
    }

    private static func number(_ bytes: [UInt8]) -> UInt128 {
        bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    }

    func masked(to prefixLength: Int) -> Address {
        var copy = self
        let dropped = family.width - prefixLength
        // A shift by the whole width gives 0 in Swift, which is what /0 means.
        copy.bits = (bits >> UInt128(dropped)) << UInt128(dropped)
        return copy
    }
}

extension Address: CustomStringConvertible {
    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        switch family {
        case .ipv4:
            var address = UInt32(truncatingIfNeeded: bits).bigEndian
            inet_ntop(AF_INET, &address, &text, socklen_t(text.count))
        case .ipv6:
            var address = bits.bigEndian
            inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
