/// A block of IPv4 or IPv6 addresses, as in `10.0.0.0/8` or `fd00::/8`; without a `/` it is one address.
///
/// Bits behind the prefix are dropped (`10.1.2.3/8` is `10.0.0.0/8`). An IPv6 address that only wraps an IPv4 one
/// (`::ffff:10.1.2.3`, which a dual-stack socket reports) counts as the IPv4 address, here and in `contains`.
public struct AddressRange: Sendable, Hashable {
    private let network: IPAddress
    private let prefixLength: Int

    /// Reads CIDR notation; `nil` if it is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0]))?.unwrapped else { return nil }
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
        guard let address = IPAddress(address) else { return false }
        return contains(address)
    }

    public func contains(_ address: IPAddress) -> Bool {
        let address = address.unwrapped
        return address.family == network.family && address.masked(to: prefixLength) == network
    }
}

extension AddressRange: CustomStringConvertible {
    public var description: String { "\(network)/\(prefixLength)" }
}
