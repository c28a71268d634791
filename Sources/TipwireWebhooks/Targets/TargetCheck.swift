import NIOCore
import TipwireCore

/// An address that a callback's host had a moment ago and that the guard allows: what a connection is made to.
///
/// Only `TargetCheck` makes one, so that nothing can connect to an address that wasn't checked. The address is part of
/// the value: the connection goes there whatever the name stands for by then.
public struct CheckedTarget: Hashable, Sendable {
    public let scheme: CallbackURL.Scheme
    public let host: CallbackURL.Host
    public let port: Int
    public let address: IPAddress

    fileprivate init(_ url: CallbackURL, address: IPAddress) {
        scheme = url.scheme
        host = url.host
        port = url.port
        self.address = address
    }

    var socketAddress: SocketAddress {
        get throws { try SocketAddress(packedIPAddress: ByteBuffer(bytes: address.bytes), port: port) }
    }

    /// The name for TLS: sent along, and held against the certificate. For a host that is an address there is none, and
    /// the certificate must have the address.
    var serverName: String? {
        guard case .name(let name) = host else { return nil }
        return name
    }
}

/// Why a callback has no target now.
public enum TargetFailure: Error, Hashable, Sendable {
    /// An address that the guard doesn't allow.
    case refused(AddressRefusal)
    case unresolved(ResolutionFailure)
}

extension TargetFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let refusal): refusal.description
        case .unresolved(let failure): failure.description
        }
    }
}

/// The door between a callback and the network: looks the host up, and judges every address that it has.
///
/// One refused address among several refuses the whole, at creation and at each attempt alike. Picking an allowed one
/// would do for this connection, but a public name with a private address beside is what rebinding looks like, and no
/// honest endpoint has such an answer.
public struct TargetCheck: Sendable {
    public let addresses: AddressGuard
    private let resolver: any Resolver

    public init(addresses: AddressGuard, resolver: any Resolver) {
        self.addresses = addresses
        self.resolver = resolver
    }

    /// The target to connect to.
    ///
    /// - Parameter attempt: From 1. Each further attempt takes the host's next address, so that a broken one among
    ///   several doesn't fail them all.
    public func target(for url: CallbackURL, attempt: Int = 1) async throws(TargetFailure) -> CheckedTarget {
        let candidates: [IPAddress]
        switch url.host {
        case .address(let address):
            candidates = [address]
        case .name(let name):
            do {
                candidates = try await resolver.addresses(of: name)
            } catch {
                throw .unresolved(error)
            }
        }
        guard !candidates.isEmpty else { throw .unresolved(.noSuchName) }
        for address in candidates {
            guard let rule = addresses.refusing(address) else { continue }
            throw .refused(AddressRefusal(host: url.hostText, address: address, rule: rule))
        }
        return CheckedTarget(url, address: candidates[max(attempt - 1, 0) % candidates.count])
    }
}
