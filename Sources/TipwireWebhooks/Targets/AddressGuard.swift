import TipwireCore

/// Decides which addresses callbacks may lead to, so that a callback can't be used to reach into the network that the
/// server stands in.
///
/// A pure function of the address. Who asks it, and when, is `TargetCheck`'s business and `PeerCheckHandler`'s.
public struct AddressGuard: Sendable {
    /// The setting that lists the blocks that are allowed although a rule refuses them.
    public static let setting = "webhooks.allowedNetworks"

    /// Allowed whatever the rules say. A block of IPv4 lets the addresses that only map it into IPv6 through as well:
    /// the machine connects to the same host for both.
    public let allowedNetworks: [AddressRange]

    public init(allowedNetworks: [AddressRange] = []) {
        self.allowedNetworks = allowedNetworks
    }

    /// The rule that refuses `address`; nil if it is allowed.
    public func refusing(_ address: IPAddress) -> AddressRule? {
        guard let rule = AddressRule.refusing(address) else { return nil }
        return allowedNetworks.contains { $0.contains(address) } ? nil : rule
    }
}

/// A callback leads to an address that it may not have.
public struct AddressRefusal: Error, Hashable, Sendable {
    /// The host as the callback names it.
    public let host: String
    /// The address that was refused. For the operator's log alone where it came of a look-up: a caller must not learn
    /// from a refusal what the names inside this network stand for.
    public let address: IPAddress
    public let rule: AddressRule

    public init(host: String, address: IPAddress, rule: AddressRule) {
        self.host = host
        self.address = address
        self.rule = rule
    }
}

extension AddressRefusal: CustomStringConvertible {
    /// Names the host, the rule and the setting, and no address but one that the callback has in its own text.
    public var description: String {
        "\(host) is \(rule.phrase), refused by the rule '\(rule.rawValue)'; "
            + "the setting \(AddressGuard.setting) can allow it"
    }
}
