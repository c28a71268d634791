import Foundation
import NIOHTTP1
import TipwireCore

/// The cookie that carries a signed-in browser's session.
///
/// `HttpOnly`, so that no script can read it; `SameSite=Strict`, so that no other site's page can use it; and since that
/// is a promise of the browser, every change and every WebSocket must also come from this server's own origin.
struct SessionCookie: Sendable {
    static let name = "tipwire_session"
    /// Where the server is known by an https address. Browsers take a cookie of such a name from this very host alone, over TLS:
    /// a neighbour under the same domain can't put one of its own beside it.
    static let secureName = "__Host-tipwire_session"
    /// How long a session lasts.
    static let lifetimeSeconds = 30 * 86_400

    /// The server's address as the world sees it; a proxy in front may have put another `Host` on the request.
    var publicURL: @Sendable () -> String = { "" }

    func token(in headers: HTTPHeaders) -> String? { token(in: headers["cookie"]) }

    func token(in values: [String]) -> String? {
        for pair in values.flatMap({ $0.split(separator: ";") }) {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].filter({ $0 != " " }) == ownName else { continue }
            return String(parts[1].filter { $0 != " " })
        }
        return nil
    }

    func isSameOrigin(_ headers: HTTPHeaders) -> Bool {
        isSameOrigin(origin: headers.first(name: "origin"), host: headers.first(name: "host"))
    }

    /// Whether a reading call may rest on the cookie: not when the browser says that another site's page makes it. A browser
    /// that says nothing is an old one, and `SameSite` alone holds it.
    static func mayRead(_ headers: HTTPHeaders) -> Bool { mayRead(fetchSite: headers.first(name: "sec-fetch-site")) }

    static func mayRead(fetchSite: String?) -> Bool {
        fetchSite.map { ["same-origin", "none"].contains($0.lowercased()) } ?? true
    }

    /// Whether a page led here, of another site or ours, which may show a link that somebody else wrote: what the person wanted
    /// is then not known.
    static func isLed(fetchSite: String?) -> Bool { fetchSite.map { $0.lowercased() != "none" } ?? false }

    /// Whether a request's `Origin` names the host that it was sent to. A browser always sends one with a WebSocket and
    /// with a change; none at all is no browser, and has no business with a session.
    func isSameOrigin(origin: String?, host: String?) -> Bool {
        guard let origin = origin?.lowercased(), let scheme = origin.range(of: "://") else { return false }
        guard let host = host?.lowercased(), !host.isEmpty else { return false }
        let own = Self.origin(of: publicURL())
        // Whoever can answer for our name in the clear is not us, where we are reached by TLS.
        if own.hasPrefix("https://"), !origin.hasPrefix("https://") { return false }
        return origin[scheme.upperBound...] == host || origin == own
    }

    /// The scheme, host and port of a URL.
    private static func origin(of url: String) -> String {
        let url = url.lowercased()
        guard let scheme = url.range(of: "://") else { return url }
        return String(url[..<scheme.upperBound] + url[scheme.upperBound...].prefix { $0 != "/" })
    }

    func set(_ token: String, isSecure: Bool) -> String {
        "\(ownName)=\(token); Path=/; Max-Age=\(Self.lifetimeSeconds); HttpOnly; SameSite=Strict"
            + (isSecure || ownName == Self.secureName ? "; Secure" : "")
    }

    func clear() -> String {
        "\(ownName)=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict" + (ownName == Self.secureName ? "; Secure" : "")
    }

    private var ownName: String { publicURL().hasPrefix("https://") ? Self.secureName : Self.name }
}
