import NIOHTTP1

/// Refuses request heads that two readers could understand differently, before anything acts on them.
enum HeadCheck {
    /// What is wrong with a head that the decoder let through, or nil.
    static func problem(with head: HTTPRequestHead) -> String? {
        let hosts = head.headers[canonicalForm: "host"].count
        if hosts > 1 { return "There is more than one Host header." }
        if hosts == 0, head.version == .http1_1 { return "The Host header is missing." }
        guard head.uri.hasPrefix("/") || head.uri == "*" || head.uri.lowercased().hasPrefix("http") else {
            return "The request target must be a path."
        }
        return nil
    }

    /// The answer to bytes that the decoder refused.
    static func refusal(for error: any Error) -> Refusal {
        switch error as? HTTPParserError {
        case .headerOverflow:
            Refusal(status: .requestHeaderFieldsTooLarge, message: "The request's headers are too large.")
        case .invalidVersion:
            Refusal(status: .httpVersionNotSupported, message: "This server speaks HTTP/1.1.")
        default:
            Refusal(status: .badRequest, message: "This is not an HTTP request.")
        }
    }
}
