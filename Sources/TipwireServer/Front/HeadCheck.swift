import NIOHTTP1

/// Refuses request heads that two readers could understand differently, before anything acts on them.
///
/// What the decoder refuses never comes here; this is about what it lets through.
enum HeadCheck {
    /// Brings the target into origin form, and returns the answer that refuses the head, or nil.
    static func refusal(of head: inout HTTPRequestHead) -> FrontAnswer? {
        let answer = size(head) ?? target(&head) ?? transferCoding(head) ?? length(head) ?? expectation(head)
        return head.method == .HEAD ? answer?.withoutBody : answer
    }

    /// Whether the client waits for a 100 before it sends the body. HTTP/1.0 knows no such thing (RFC 9110, 10.1.1).
    static func awaitsContinue(_ head: HTTPRequestHead) -> Bool {
        guard head.version != .http1_0, !head.headers[canonicalForm: "expect"].isEmpty else { return false }
        // By HTTP/2 a body needs no announcement.
        return head.version == .http2 || bodyLength(of: head) ?? 0 > 0
            || head.headers.contains(name: "transfer-encoding")
    }

    /// The answer to bytes that the decoder refused.
    static func refusal(for fault: RequestFault) -> FrontAnswer {
        switch fault {
        case .malformed: bad("This is not an HTTP request.")
        case .tooLarge:
            FrontAnswer(status: .requestHeaderFieldsTooLarge, message: "The request's headers are too large.")
        case .version: FrontAnswer(status: .httpVersionNotSupported, message: "This server speaks HTTP/1.1.")
        case .method: FrontAnswer(status: .notImplemented, message: "This server doesn't know the request's method.")
        }
    }

    /// The decoder of HTTP/1.1 has counted; that of HTTP/2 knows only how long all of a head may be.
    private static func size(_ head: HTTPRequestHead) -> FrontAnswer? {
        guard head.version == .http2 else { return nil }
        let isTooLarge =
            head.headers.count > RequestDecoder.maxFields || head.uri.utf8.count > RequestDecoder.maxFieldBytes
            || head.headers.contains { max($0.name.utf8.count, $0.value.utf8.count) > RequestDecoder.maxFieldBytes }
        return isTooLarge ? refusal(for: .tooLarge) : nil
    }

    // MARK: Where it goes

    private static func target(_ head: inout HTTPRequestHead) -> FrontAnswer? {
        let hosts = head.headers["host"]
        if hosts.count > 1 { return bad("There is more than one Host header.") }
        if hosts.isEmpty, head.version == .http1_1 { return bad("The Host header is missing.") }
        guard hosts.allSatisfy({ isAuthority($0) }) else {
            return bad("The Host header is not a host name or address with an optional port.")
        }
        if head.uri.utf8.contains(UInt8(ascii: "#")) { return bad("The request target must not have a fragment.") }
        guard head.uri.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return bad("The request target has characters that must be percent-encoded.")
        }
        // HTTP/2 has the parts of it in fields of their own.
        if head.version != .http2, let (authority, path) = absoluteForm(head.uri) {
            guard !authority.isEmpty, isAuthority(authority) else {
                return bad("The request target's host is not a host name or address with an optional port.")
            }
            // Proxies send this form, which a server must take, and then the target's host is the one that counts
            // (RFC 9112, 3.2.2).
            head.uri = path
            head.headers.replaceOrAdd(name: "host", value: authority)
        }
        guard head.uri.hasPrefix("/") || head.uri == "*" && head.method == .OPTIONS else {
            return bad("The request target must be a path.")
        }
        return nil
    }

    /// The authority and the path of `http://authority/path`; nil for a target in another form.
    private static func absoluteForm(_ target: String) -> (authority: String, path: String)? {
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return nil }
        guard ["http", "https", "ws", "wss"].contains(target[..<scheme.lowerBound].lowercased()) else { return nil }
        let rest = target[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let path = rest[authority.endIndex...]
        return (String(authority), path.hasPrefix("/") ? String(path) : "/" + path)
    }

    /// `uri-host [ ":" port ]` of RFC 3986: no white space, no user, nothing that another reader could take for a path.
    private static func isAuthority(_ text: String) -> Bool {
        var host = Substring(text)
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return false }
            let address = host[host.index(after: host.startIndex)..<end].utf8
            guard !address.isEmpty, address.allSatisfy({ isHexDigit($0) || $0 == 0x3A || $0 == 0x2E }) else {
                return false
            }
            host = host[host.index(after: end)...]
            return host.isEmpty || host.hasPrefix(":") && isPort(host.dropFirst())
        }
        if let colon = host.firstIndex(of: ":") {
            guard isPort(host[host.index(after: colon)...]) else { return false }
            host = host[..<colon]
        }
        return host.utf8.allSatisfy { isHexDigit($0) || isLetter($0) || "-._~%!$&'()*+,;=".utf8.contains($0) }
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.utf8.count <= 5 && text.utf8.allSatisfy { (0x30...0x39).contains($0) } && Int(text) ?? 0 <= 65_535
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20)
    }

    // MARK: How it comes

    /// `chunked` alone, said once, is understood by everyone in one way. We undo no other coding, and a proxy that reads
    /// some odd spelling differently must not have a second request hidden from it.
    private static func transferCoding(_ head: HTTPRequestHead) -> FrontAnswer? {
        let values = head.headers["transfer-encoding"]
        guard !values.isEmpty else { return nil }
        if head.version != .http1_1 { return bad("HTTP/1.0 has no Transfer-Encoding.") }
        let codings = head.headers[canonicalForm: "transfer-encoding"].filter { !$0.isEmpty }
        if codings.isEmpty { return bad("The Transfer-Encoding header is empty.") }
        guard values.count == 1, codings.count == 1, codings[0].lowercased() == "chunked" else {
            return FrontAnswer(
                status: .notImplemented, message: "This server takes no Transfer-Encoding but 'chunked' alone.")
        }
        return nil
    }

    /// HTTP/1.1's decoder refuses all but one number of 64 bits, and here it must be one that can be counted with; by HTTP/2 a proxy between
    /// the two must not find another body than we do.
    private static func length(_ head: HTTPRequestHead) -> FrontAnswer? {
        let values = head.headers["content-length"]
        guard !values.isEmpty else { return nil }
        guard head.version == .http2 else {
            let isCountable = bodyLength(of: head) != nil
            return isCountable ? nil : FrontAnswer(status: .payloadTooLarge, message: "The body is too large.")
        }
        guard values.count == 1, !values[0].isEmpty, values[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return bad("The Content-Length header is not one number.")
        }
        return nil
    }

    /// Bytes of a body of HTTP/1.1, as the decoder has understood it: one number, and perhaps white space behind it. Nil if the
    /// body tells itself where it ends, or there is none.
    static func bodyLength(of head: HTTPRequestHead) -> Int? {
        guard var digits = head.headers.first(name: "content-length")?[...] else { return nil }
        while let last = digits.utf8.last, last == 0x20 || last == 0x09 { digits.removeLast() }
        return Int(digits)
    }

    private static func expectation(_ head: HTTPRequestHead) -> FrontAnswer? {
        let unknown = head.headers[canonicalForm: "expect"].contains { $0.lowercased() != "100-continue" }
        return unknown
            ? FrontAnswer(status: .expectationFailed, message: "This server meets no expectation but '100-continue'.")
            : nil
    }

    private static func bad(_ message: String) -> FrontAnswer { FrontAnswer(status: .badRequest, message: message) }
}
