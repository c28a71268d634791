/// How one connection to the feed ended, or why there was none.
enum FeedEnding: Error, Hashable, Sendable {
    case unreachable(TransportFault)
    /// Refused before the upgrade; the detail is the server's `error`.
    case refused(status: Int, detail: String?, retryAfterSeconds: Int?)
    /// The server's close frame.
    case closed(code: Int, reason: String)
    /// The end of the connection without one.
    case lost
    /// `FeedSession.toleratedPings` pings without an answer.
    case silent

    /// What is said before `, again in 1.3 s`.
    func message(_ address: ServerAddress) -> String {
        switch self {
        case .unreachable(.refused): "no Tipwire at \(address) (start one with: tipwire serve)"
        case .unreachable(let fault): fault.message(address)
        case .refused(let status, let detail, _):
            "the server answered \(status)" + (detail.map { " (\(VisibleText($0)))" } ?? "")
        case .closed(let code, let reason):
            "the server closed the connection (\(code)" + (reason.isEmpty ? ")" : ": \(VisibleText(reason)))")
        case .lost: "connection lost"
        case .silent: "connection lost (no answer to \(FeedSession.toleratedPings) pings)"
        }
    }
}
