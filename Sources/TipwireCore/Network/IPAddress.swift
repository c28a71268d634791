#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// An IPv4 or IPv6 address as a number, so that comparing prefixes is a mask and a comparison.
///
/// Without a port and without a zone: `fe80::1%eth0` is `fe80::1`.
public struct IPAddress: Hashable, Sendable {
    public enum Family: Sendable {
        case ipv4, ipv6

        /// Bits of an address.
        public var width: Int { self == .ipv4 ? 32 : 128 }
    }

    public let family: Family
    /// The address, most significant byte first; for IPv4 in the low 32 bits.
    public let bits: UInt128

    public init(ipv4 bits: UInt32) {
        family = .ipv4
        self.bits = UInt128(bits)
    }

    public init(ipv6 bits: UInt128) {
        family = .ipv6
        self.bits = bits
    }

    /// Four bytes of IPv4 or sixteen of IPv6 in network order; nil for any other number of them.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        family = bytes.count == 4 ? .ipv4 : .ipv6
        bits = bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
    }

    /// Reads four decimal numbers without leading zeros, or IPv6 in any of its forms, without brackets; nil for
    /// anything else. A zone behind an IPv6 address is ignored.
    public init?(_ text: String) {
        // C would take the text to end there.
        guard !text.utf8.contains(0) else { return nil }
        // Plain bytes instead of `in_addr`: which C module that type belongs to depends on what else is imported.
        var ipv4 = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            self.init(bytes: ipv4)
            return
        }
        // `inet_pton` knows no zones.
        var ipv6 = [UInt8](repeating: 0, count: 16)
        let withoutZone = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)[0]
        guard inet_pton(AF_INET6, String(withoutZone), &ipv6) == 1 else { return nil }
        self.init(bytes: ipv6)
    }

    /// Network order: four bytes or sixteen.
    public var bytes: [UInt8] {
        stride(from: family.width - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> UInt128($0)) }
    }

    /// The IPv4 address that an IPv6 one only wraps (`::ffff:10.1.2.3`, which a dual-stack socket reports); any other
    /// address is itself.
    public var unwrapped: IPAddress {
        guard family == .ipv6, bits >> 32 == 0xFFFF else { return self }
        return IPAddress(ipv4: UInt32(truncatingIfNeeded: bits))
    }

    /// The first `length` bits, the rest zero.
    public func masked(to length: Int) -> IPAddress {
        // A shift by the whole width gives 0 in Swift, which is what /0 means.
        let dropped = UInt128(family.width - length)
        let kept = (bits >> dropped) << dropped
        return family == .ipv4 ? IPAddress(ipv4: UInt32(truncatingIfNeeded: kept)) : IPAddress(ipv6: kept)
    }
}

extension IPAddress: CustomStringConvertible {
    /// As `inet_ntop` writes it: IPv6 in lower case, the longest run of zeros shortened.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let bytes = bytes
        inet_ntop(family == .ipv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
