/// When a tip, or another call that may be repeated, is sent again because it wasn't acknowledged.
///
/// Only what a later attempt can change: 503 with a `Retry-After` (a full queue, a restart), and a connection that
/// broke while the answer was due. What is sent carries an id or an `Idempotency-Key`, or can only be done once, so an
/// attempt that did arrive is answered as the first one and nothing is doubled.
enum RetryRule {
    enum Outcome: Hashable, Sendable {
        case answered(status: Int, retryAfterSeconds: Int?)
        case fault(TransportFault)
    }

    /// Attempts for one tip, the first included: enough for a restart of the server, few enough that a script ends.
    static let attempts = 8
    /// Longest wait between two attempts, in seconds, whatever the server asks for.
    static let longestWaitSeconds = 10

    /// How long to wait after attempt number `attempt` (from 1); nil to give up.
    static func wait(after attempt: Int, _ outcome: Outcome) -> Duration? {
        guard attempt < attempts else { return nil }
        switch outcome {
        case .answered(status: 503, retryAfterSeconds: let seconds?):
            return .seconds(min(max(seconds, 0), longestWaitSeconds))
        case .fault(.lost):
            return min(.milliseconds(100 << (attempt - 1)), .seconds(longestWaitSeconds))
        case .answered, .fault: return nil
        }
    }

    /// Whether an attempt so far may have been carried out without an answer that says so.
    ///
    /// - Parameter before: The same before this outcome. A refused connection says nothing of the attempts before it.
    static func isInDoubt(after outcome: Outcome, before: Bool) -> Bool {
        switch outcome {
        case .fault(.refused), .fault(.unknownHost), .fault(.connectTimedOut), .fault(.tls): before
        case .fault: true
        // Turned away at the door, where nothing is known of the attempts before.
        case .answered(status: 401, _), .answered(status: 403, _), .answered(status: 429, _): before
        case .answered(let status, _): status >= 500
        }
    }
}
