import Foundation
import TipwireStore

/// Where a NATS server is, and who we are there: `nats://USER:PASSWORD@HOST:4222`, `tls://…`, or a token in the place of
/// user and password.
///
/// Taken apart here, so that the library, whose messages may get into a log, is given a URL without secrets.
public struct NATSAddress: Sendable, Equatable {
    public enum Identity: Sendable, Equatable {
        case none
        case user(String, password: String)
        case token(String)
    }

    public let isSecure: Bool
    public let host: String
    public let port: Int
    public let identity: Identity

    static let usualPort = 4_222

    /// Nil for anything else than such a URL.
    public init?(_ text: String) {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        if text.hasPrefix("nats://") {
            isSecure = false
        } else if text.hasPrefix("tls://") {
            isSecure = true
        } else {
            return nil
        }
        // A path, a query or a fragment would be left out of what is meant.
        let authority = text[text.range(of: "://")!.upperBound...]
        guard !authority.isEmpty, !authority.contains(where: { "/?#".contains($0) }) else { return nil }
        let at = authority.lastIndex(of: "@")
        let place = authority[(at.map(authority.index(after:)) ?? authority.startIndex)...]
        guard let (host, port) = Self.split(place) else { return nil }
        self.host = host
        self.port = port
        guard let at else {
            identity = .none
            return
        }
        let parts = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            .map { String($0).removingPercentEncoding }
        switch (parts.count, parts.first ?? nil, parts.last ?? nil) {
        case (1, let token?, _) where !token.isEmpty: identity = .token(token)
        case (2, let user?, let password?) where !user.isEmpty: identity = .user(user, password: password)
        default: return nil
        }
    }

    private static func split(_ place: Substring) -> (host: String, port: Int)? {
        // The host ends at its port's colon; the colons of an IPv6 address stand in brackets.
        let end = place.lastIndex(of: "]").map(place.index(after:)) ?? place.firstIndex(of: ":") ?? place.endIndex
        let host = place[..<end]
        let rest = place[end...]
        guard !host.isEmpty, host.hasPrefix("[") == host.hasSuffix("]") else { return nil }
        if rest.isEmpty { return (String(host), usualPort) }
        let digits = rest.dropFirst()
        guard rest.hasPrefix(":"), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
            (1...65_535).contains(port)
        else { return nil }
        return (String(host), port)
    }

    /// As it may be shown, and as the library is told it.
    public var shown: String { "nats://\(host):\(port)" }

    /// The name that the server's certificate must have.
    var name: String { host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host }

    /// Throws `StoreUnusable` when libnats isn't there. Connects to nothing.
    public static func checkLibrary() throws { _ = try LibNATS.load() }
}
