import Foundation
import TipwireCore

/// Where the server is: scheme, host, port, and the path in front of its own if a proxy adds one.
///
/// Read by hand rather than with `URL`: what is accepted is small, and everything else (a user name, a query, another
/// scheme) should be refused in words, not silently dropped.
struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    let isSecure: Bool
    /// A name or an address; an IPv6 address without its brackets.
    let host: String
    let port: Int
    /// Empty, or `/tips` without a slash at the end.
    let prefix: String

    /// `http://host`, `https://host:8443`, `http://[::1]:8080/behind/a/proxy`; nil for anything else.
    init?(_ text: String) {
        let rest: Substring
        switch text.lowercased() {
        case let lower where lower.hasPrefix("http://"): (isSecure, rest) = (false, text.dropFirst(7))
        case let lower where lower.hasPrefix("https://"): (isSecure, rest) = (true, text.dropFirst(8))
        default: return nil
        }
        let authority = rest.prefix { $0 != "/" }
        var path = rest.dropFirst(authority.count)
        while path.last == "/" { path.removeLast() }
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Array("@?#\\\"<>".utf8).contains($0) }) else {
            return nil
        }
        let portText: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { return nil }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else {
            let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { return nil }
            host = String(parts[0])
            portText = parts.count == 2 ? parts[1] : nil
        }
        guard !host.isEmpty else { return nil }
        if let portText {
            guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(portText),
                (1...65_535).contains(number)
            else { return nil }
            port = number
        } else {
            port = isSecure ? 443 : 80
        }
        prefix = String(path)
    }

    static let rule = "must be like http://127.0.0.1:8080 or https://tips.example.org"

    /// Host and port as a `Host` header has them: the scheme's own port is left out.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    var description: String { "\(isSecure ? "https" : "http")://\(authority)\(prefix)" }

    /// The address of a call of an API.
    func url(path: [String], query: [(name: String, value: String)]) -> String {
        let segments = path.map { "/" + Self.encoded($0) }.joined()
        return description + segments + Self.encoded(query: query)
    }

    /// Path and query of the Pally feed: the whole activity feed of one page, or every page the key's account owns.
    func feedTarget(key: APIKey, page: Slug?, since: String) -> String {
        var query = [(name: "auth", value: key.reveal()), (name: "channel", value: "firehose")]
        if let page { query[1...] = [(name: "channel", value: "activity-feed"), (name: "room", value: page.text)] }
        return prefix + "/" + Self.encoded(query: query + [(name: "since", value: since)])
    }

    /// Path and query of the socket of an EventSub subscription. Its id alone lets in.
    func eventSubTarget(connectionID: String) -> String {
        prefix + "/" + Self.encoded(query: [(name: "connection_id", value: connectionID)])
    }

    /// The address of the Event Hook's stream, with positions.
    ///
    /// - Parameter isNew: Whether no position is known yet; one that is goes into the header `Last-Event-ID`.
    func eventStreamURL(page: Slug?, isNew: Bool) -> String {
        var query: [(name: String, value: String)] = []
        if let page { query.append(("page", page.text)) }
        if isNew { query.append(("resume", "true")) }
        return description + "/api/tip-events/stream" + Self.encoded(query: query)
    }

    private static func encoded(query: [(name: String, value: String)]) -> String {
        guard !query.isEmpty else { return "" }
        return "?" + query.map { encoded($0.name) + "=" + encoded($0.value) }.joined(separator: "&")
    }

    /// Escapes all but RFC 3986's unreserved characters, which is right in a path segment and in a query alike.
    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? ""
    }

    private static let unreserved = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}
