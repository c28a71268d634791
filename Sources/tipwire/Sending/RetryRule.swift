/// When a tip that wasn't acknowledged is sent again.
///
/// Only what a later attempt can change: 503 with a `Retry-After` (a full queue, a restart), and a connection that
/// broke while the answer was due. Every tip carries an id or an `Idempotency-Key`, so an attempt that did arrive is answered
/// as the first one and nothing is doubled.
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
}
