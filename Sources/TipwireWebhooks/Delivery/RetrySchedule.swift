import TipwireCore

/// When a delivery that failed is tried again. A pure function: chance is handed in.
public struct RetrySchedule: Sendable {
    /// Waits between the end of one attempt and the next, in milliseconds; one attempt more than there are waits.
    public let waits: [Int64]
    /// Most of a wait that is added to it. Without it, all that failed while an endpoint was down would come back to
    /// it in one moment.
    public let jitter: Double
    /// Longest wait that an answer's `Retry-After` is honoured for, in milliseconds, before jitter. It is the longest
    /// of the schedule's own, so that no endpoint can put a delivery off beyond its retention.
    public let longestRetryAfter: Int64

    /// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten attempts in about 76 hours.
    public static let standard = RetrySchedule(
        waits: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map { $0 * 1_000 }, jitter: 0.2,
        longestRetryAfter: 86_400_000)

    public init(waits: [Int64], jitter: Double, longestRetryAfter: Int64) {
        self.waits = waits
        self.jitter = jitter
        self.longestRetryAfter = longestRetryAfter
    }

    /// Attempts in all.
    public var attempts: Int { waits.count + 1 }

    /// When the attempt after number `attempt` is due; nil if that was the last.
    ///
    /// - Parameters:
    ///   - attempt: The number of the one that failed, from 1.
    ///   - ended: When it ended.
    ///   - retryAfter: What its answer asked for. It can put the next attempt off, never bring it forward.
    ///   - chance: Evenly distributed from 0 to 1.
    public func next(
        afterAttempt attempt: Int, ended: Timestamp, retryAfter: RetryAfter? = nil, chance: Double
    ) -> Timestamp? {
        precondition(attempt >= 1, "attempts count from 1")
        guard attempt <= waits.count else { return nil }
        let asked = retryAfter?.milliseconds(from: ended, limit: longestRetryAfter) ?? 0
        let wait = max(waits[attempt - 1], asked)
        let added = Int64(Double(wait) * jitter * min(max(chance, 0), 1))
        return ended.advanced(milliseconds: wait + added)
    }
}
