import NIOCore
import NIOHTTP1
import TipwireCore

/// Whose request it is: the peer's address, or what a trusted proxy says of it.
struct ClientAddress: Sendable {
    let trustedProxies: [AddressRange]

    /// Walks `X-Forwarded-For` from its end, where the nearest proxy wrote, past every trusted proxy. The first address
    /// that isn't one is the client: everything before it could be the client's own invention.
    func resolve(peer: SocketAddress?, forwardedFor: [String]) -> String {
        let peer = peer?.ipAddress ?? "unknown"
        guard isTrusted(peer) else { return peer }
        var client = peer
        for entry in forwardedFor.flatMap({ $0.split(separator: ",") }).reversed() {
            client = String(entry.filter { !$0.isWhitespace })
            if !isTrusted(client) { break }
        }
        return client
    }

    /// Whether a peer is a proxy whose headers are believed.
    func isTrusted(_ peer: SocketAddress?) -> Bool { peer?.ipAddress.map(isTrusted) ?? false }

    private func isTrusted(_ address: String) -> Bool {
        trustedProxies.contains { $0.contains(address) }
    }
}
