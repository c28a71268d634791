import TipwireCore

/// A class of addresses that a callback may not have, by the name that refusals give it.
///
/// The blocks are those of the IANA registries of special-purpose addresses (RFC 6890 and its updates) that aren't
/// for the public Internet, and the forms of IPv6 that carry an IPv4 address: a gateway on the way could turn those
/// into an address that the rules for IPv4 refuse.
public enum AddressRule: String, CaseIterable, Sendable {
    case loopback
    case unspecified
    case thisNetwork = "this-network"
    case privateUse = "private"
    case sharedSpace = "cgnat"
    case linkLocal = "link-local"
    case protocolAssignment = "protocol-assignment"
    case documentation
    case benchmark
    case multicast
    case broadcast
    case reserved
    case uniqueLocal = "unique-local"
    case siteLocal = "site-local"
    case teredo
    case sixToFour = "6to4"
    case nat64
    case ipv4Mapped = "ipv4-mapped"
    case ipv4Compatible = "ipv4-compatible"
    case ipv4Translated = "ipv4-translated"
    case isatap
    case orchid
    case discard
    case segmentRouting = "segment-routing"
    case outsideGlobalUnicast = "outside-2000::/3"

    /// What such an address is, to follow "is".
    var phrase: String {
        switch self {
        case .loopback: "a loopback address"
        case .unspecified: "the unspecified address"
        case .thisNetwork: "an address of 'this network' (0.0.0.0/8)"
        case .privateUse: "a private address"
        case .sharedSpace: "an address behind a carrier's NAT (100.64.0.0/10)"
        case .linkLocal: "a link-local address"
        case .protocolAssignment: "an address set aside for protocols"
        case .documentation: "an address for documentation"
        case .benchmark: "an address for benchmarks"
        case .multicast: "a multicast address"
        case .broadcast: "the broadcast address"
        case .reserved: "a reserved address (240.0.0.0/4)"
        case .uniqueLocal: "a unique local address (fc00::/7)"
        case .siteLocal: "a site-local address (fec0::/10)"
        case .teredo: "a Teredo address (2001::/32)"
        case .sixToFour: "a 6to4 address"
        case .nat64: "a NAT64 address"
        case .ipv4Mapped: "an IPv4 address mapped into IPv6"
        case .ipv4Compatible: "an IPv4 address inside IPv6 (::/96)"
        case .ipv4Translated: "an IPv4 address translated into IPv6 (::ffff:0:0:0/96)"
        case .isatap: "an ISATAP address, an IPv4 address inside IPv6"
        case .orchid: "an ORCHID, which nothing routes"
        case .discard: "an address of the discard-only block"
        case .segmentRouting: "a segment identifier (5f00::/16)"
        case .outsideGlobalUnicast: "outside the public part of IPv6 (2000::/3)"
        }
    }

    /// The rule that refuses an address of the given family; nil for a public one.
    static func refusing(_ address: IPAddress) -> AddressRule? {
        switch address.family {
        case .ipv4:
            return ipv4.first { $0.block.contains(address) }?.rule
        case .ipv6:
            if let rule = ipv6.first(where: { $0.block.contains(address) })?.rule { return rule }
            // RFC 5214, section 6.1: below any prefix, `0000:5efe` or `0200:5efe` and an IPv4 address. The two bits
            // that say "universal" and "group" are left out of the comparison.
            if address.bits >> 32 & 0xFCFF_FFFF == 0x0000_5EFE { return .isatap }
            return globalUnicast.contains(address) ? nil : .outsideGlobalUnicast
        }
    }

    /// A prefix. `AddressRange` won't do: it takes a mapped address for the IPv4 one, which here is a class of its own.
    private struct Block {
        let network: IPAddress
        let length: Int

        init(_ network: String, _ length: Int) {
            guard let network = IPAddress(network) else { preconditionFailure("'\(network)' is no address") }
            self.network = network
            self.length = length
        }

        func contains(_ address: IPAddress) -> Bool {
            let dropped = UInt128(network.family.width - length)
            return address.family == network.family && address.bits >> dropped == network.bits >> dropped
        }
    }

    private static let globalUnicast = Block("2000::", 3)

    /// The first that matches names the rule: a part stands before its whole.
    private static let ipv4: [(block: Block, rule: AddressRule)] = [
        (Block("0.0.0.0", 32), .unspecified),
        (Block("0.0.0.0", 8), .thisNetwork),
        (Block("10.0.0.0", 8), .privateUse),
        (Block("100.64.0.0", 10), .sharedSpace),
        (Block("127.0.0.0", 8), .loopback),
        (Block("169.254.0.0", 16), .linkLocal),
        (Block("172.16.0.0", 12), .privateUse),
        (Block("192.0.0.0", 24), .protocolAssignment),
        (Block("192.0.2.0", 24), .documentation),
        // The anycast address of 6to4 relays.
        (Block("192.88.99.0", 24), .sixToFour),
        (Block("192.168.0.0", 16), .privateUse),
        (Block("198.18.0.0", 15), .benchmark),
        (Block("198.51.100.0", 24), .documentation),
        (Block("203.0.113.0", 24), .documentation),
        (Block("224.0.0.0", 4), .multicast),
        (Block("255.255.255.255", 32), .broadcast),
        (Block("240.0.0.0", 4), .reserved),
    ]

    private static let ipv6: [(block: Block, rule: AddressRule)] = [
        (Block("::", 128), .unspecified),
        (Block("::1", 128), .loopback),
        (Block("::ffff:0:0", 96), .ipv4Mapped),
        (Block("::ffff:0:0:0", 96), .ipv4Translated),
        (Block("::", 96), .ipv4Compatible),
        (Block("64:ff9b::", 96), .nat64),
        (Block("64:ff9b:1::", 48), .nat64),
        (Block("100::", 64), .discard),
        (Block("2001::", 32), .teredo),
        (Block("2001:2::", 48), .benchmark),
        (Block("2001:10::", 28), .orchid),
        (Block("2001:20::", 28), .orchid),
        // The rest of what the IETF keeps for protocols; addresses given to networks begin at 2001:200::.
        (Block("2001::", 23), .protocolAssignment),
        (Block("2001:db8::", 32), .documentation),
        (Block("2002::", 16), .sixToFour),
        (Block("3fff::", 20), .documentation),
        (Block("5f00::", 16), .segmentRouting),
        (Block("fc00::", 7), .uniqueLocal),
        (Block("fe80::", 10), .linkLocal),
        (Block("fec0::", 10), .siteLocal),
        (Block("ff00::", 8), .multicast),
    ]
}
