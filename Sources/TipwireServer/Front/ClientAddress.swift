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
            guard let address = Self.address(in: entry.filter { !$0.isWhitespace }) else { break }
            client = address
            if !isTrusted(client) { break }
        }
        return client
    }

    /// The address of an entry, which some proxies write with a port, and then IPv6 in brackets; nil for what is none
    /// (`unknown`), which says no more than that the proxy before it was here.
    private static func address(in entry: String) -> String? {
        if IPAddress(entry) != nil { return entry }
        if entry.hasPrefix("["), let end = entry.firstIndex(of: "]") {
            let inside = String(entry[entry.index(after: entry.startIndex)..<end])
            return IPAddress(inside) == nil ? nil : inside
        }
        let host = String(entry.prefix { $0 != ":" })
        return IPAddress(host) == nil ? nil : host
    }

    /// Whether a peer is a proxy whose headers are believed.
    func isTrusted(_ peer: SocketAddress?) -> Bool { peer?.ipAddress.map(isTrusted) ?? false }

    private func isTrusted(_ address: String) -> Bool {
        trustedProxies.contains { $0.contains(address) }
    }
}
