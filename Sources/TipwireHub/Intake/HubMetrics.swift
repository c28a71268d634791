import Synchronization
import TipwireCore
import TipwireStore

/// A count that only grows.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    public init() {}

    public func add(_ amount: Int) { count.wrappingAdd(amount, ordering: .relaxed) }
    public var value: Int { count.load(ordering: .relaxed) }
}

/// Durations in fixed buckets, as Prometheus wants them: each bucket counts what is at or below its bound.
public final class DurationHistogram: Sendable {
    /// Upper bounds in seconds; a last bucket without a bound follows.
    public static let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

    public struct Reading: Sendable {
        /// One count for each bound and one for everything; cumulative.
        public var buckets = [Int](repeating: 0, count: DurationHistogram.bounds.count + 1)
        public var sum = 0.0

        public init() {}

        public mutating func observe(_ duration: Duration) {
            let seconds =
                Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
            for (index, bound) in DurationHistogram.bounds.enumerated() where seconds <= bound {
                buckets[index] += 1
            }
            buckets[DurationHistogram.bounds.count] += 1
            sum += seconds
        }

        public static func + (a: Reading, b: Reading) -> Reading {
            var sum = a
            for index in sum.buckets.indices { sum.buckets[index] += b.buckets[index] }
            sum.sum += b.sum
            return sum
        }
    }

    private let state = Mutex(Reading())

    public init() {}

    public func observe(_ duration: Duration) { state.withLock { $0.observe(duration) } }

    public var reading: Reading { state.withLock { $0 } }
}

/// What the hub counts. Per-delivery counts stay with the shards, where they cost no atomic.
public final class HubMetrics: Sendable {
    public let tipsAccepted = Counter()
    public let tipsRepeated = Counter()
    public let tipsRefunded = Counter()
    public let goalsCompleted = Counter()
    public let intakeRefused = Counter()
    public let catchUpReads = Counter()
    /// By the relay; those for listeners that are behind are `catchUpReads`.
    public let logReads = Counter()
    public let commitFailures = Counter()
    public let commitSeconds = DurationHistogram()
    public let eventsPruned = Counter()

    public init() {}

    func countAccepted(_ answers: [LogAnswer]) {
        var counted: Set<Int64> = []
        for answer in answers {
            guard !answer.isRepeat else {
                if case .tip(let tip) = answer.subject, tip.refundedAt == nil { tipsRepeated.add(1) }
                continue
            }
            // A tip that is in one command twice is answered twice and was stored once.
            guard counted.insert(answer.lastSequence).inserted else { continue }
            switch answer.events.first?.body.kind {
            case .tipReceived?: tipsAccepted.add(1)
            case .tipRefunded?: tipsRefunded.add(1)
            default: break
            }
            goalsCompleted.add(answer.events.count { $0.body.kind == .goalCompleted })
        }
    }
}
