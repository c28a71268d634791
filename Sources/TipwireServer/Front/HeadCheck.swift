import NIOHTTP1

/// Refuses request heads that two readers could understand differently, before anything acts on them.
enum HeadCheck {
    /// What is wrong with a head that the decoder let through, or nil.
    static func problem(with head: HTTPRequestHead) -> String? {
        let hosts = head.headers[canonicalForm: "host"].count
        if hosts > 1 { return "There is more than one Host header." }
        if hosts == 0, head.version == .http1_1 { return "The Host header is missing." }
        guard head.uri.hasPrefix("/") || head.uri == "*" else {
            return "The request target must be a path."
        }
        return nil
    }

    /// A request target in origin form. Proxies send the absolute form, which a server must take too (RFC 9112, 3.2.2).
    static func originForm(_ target: String) -> String {
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return target }
        let name = target[..<scheme.lowerBound].lowercased()
        guard name == "http" || name == "https" || name == "ws" || name == "wss" else { return target }
        let rest = target[scheme.upperBound...].drop { $0 != "/" && $0 != "?" }
        return rest.hasPrefix("/") ? String(rest) : "/" + rest
    }

    /// The answer to bytes that the decoder refused.
    static func refusal(for error: any Error) -> FrontAnswer {
        switch error as? HTTPParserError {
        case .headerOverflow:
            FrontAnswer(status: .requestHeaderFieldsTooLarge, message: "The request's headers are too large.")
        case .invalidVersion:
            FrontAnswer(status: .httpVersionNotSupported, message: "This server speaks HTTP/1.1.")
        default:
            FrontAnswer(status: .badRequest, message: "This is not an HTTP request.")
        }
    }
}
