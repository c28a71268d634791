import Synchronization
import TipwireCore
import TipwireHub

/// What deliveries are counted by.
public final class WebhookMetrics: Sendable {
    public let delivered = Counter()
    public let attemptSeconds = DurationHistogram()
    private let attempts = Mutex<[String: Int]>([:])
    private let deadLetters = Mutex<[DeadLetterReason: Int]>([:])

    public init() {}

    func count(_ report: AttemptReport) {
        attempts.withLock { $0[report.outcome.code, default: 0] += 1 }
        attemptSeconds.observe(report.duration)
        if report.outcome.isDelivered { delivered.add(1) }
    }

    func countDead(_ reason: DeadLetterReason, _ count: Int = 1) {
        deadLetters.withLock { $0[reason, default: 0] += count }
    }

    /// Attempts by how they ended, every ending named.
    public var attemptsByOutcome: [(outcome: String, count: Int)] {
        let attempts = attempts.withLock { $0 }
        return AttemptOutcome.codes.map { ($0, attempts[$0] ?? 0) }
    }

    public var deadLettersByReason: [(reason: DeadLetterReason, count: Int)] {
        let letters = deadLetters.withLock { $0 }
        return DeadLetterReason.allCases.map { ($0, letters[$0] ?? 0) }
    }
}
