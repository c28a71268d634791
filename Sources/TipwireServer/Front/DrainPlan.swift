import NIOCore
import Synchronization

/// When each stream's turn comes to end in a shutdown: at random, within a span that grows with their number.
///
/// Streams that end all at once are all back at once, at a server that has only just started. Until its turn a stream
/// gets its events as ever.
final class DrainPlan: Sendable {
    /// Streams that end in a second, as long as the drain's time lets them.
    static let streamsPerSecond = 1_000
    /// The part of `drain.seconds` that turns may take at most, in percent. The rest is for goodbyes, and for answers that
    /// are under way.
    static let percentOfDrain = 60

    private let quota: StreamQuota
    private let longest: TimeAmount
    /// Nanoseconds; settled by the first that asks. Streams that have gone meanwhile don't make it shorter.
    private let span = Atomic<Int64>(-1)

    /// - Parameters:
    ///   - quota: knows how many streams there are.
    ///   - seconds: what the shutdown has, until whoever is left is cut.
    init(quota: StreamQuota, seconds: Int) {
        self.quota = quota
        longest = .milliseconds(Int64(seconds) * 10 * Int64(Self.percentOfDrain))
    }

    /// How long a stream that is told of the shutdown now waits for its turn.
    func turn() -> TimeAmount { .nanoseconds(.random(in: 0...settledSpan)) }

    private var settledSpan: Int64 {
        let needed = TimeAmount.nanoseconds(Int64(quota.count) * 1_000_000_000 / Int64(Self.streamsPerSecond))
        let proposed = min(needed, longest).nanoseconds
        let (isFirst, settled) = span.compareExchange(expected: -1, desired: proposed, ordering: .relaxed)
        return isFirst ? proposed : settled
    }
}
