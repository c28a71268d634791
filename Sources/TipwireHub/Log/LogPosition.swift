import Synchronization
import TipwireCore

/// The bounds of the log as this node knows them, readable from any thread without asking the store.
///
/// Only ever moves forward, but for a log that another one has taken the place of. A commit is known here before its caller is
/// answered, so that a feed opened after an answer starts behind what was answered.
public final class LogPosition: Sendable {
    private struct State {
        private(set) var told: LogBounds
        /// The furthest head of this log that a read has shown, which may be beyond what was told.
        private var seenHead: Int64

        init(_ bounds: LogBounds) {
            told = bounds
            seenHead = bounds.head
        }

        var seen: LogBounds {
            LogBounds(epoch: told.epoch, head: max(told.head, seenHead), prunedThrough: told.prunedThrough)
        }

        mutating func advance(to bounds: LogBounds) {
            guard told.epoch == bounds.epoch else { return }
            told = LogBounds(
                epoch: bounds.epoch, head: max(told.head, bounds.head),
                prunedThrough: max(told.prunedThrough, bounds.prunedThrough))
        }

        mutating func saw(_ bounds: LogBounds) {
            guard told.epoch == bounds.epoch else { return }
            advance(to: LogBounds(epoch: bounds.epoch, head: told.head, prunedThrough: bounds.prunedThrough))
            seenHead = max(seenHead, bounds.head)
        }
    }

    private let state: Mutex<State>

    public init(_ bounds: LogBounds) { state = Mutex(State(bounds)) }

    /// What this node was told of, and so tells its listeners of.
    public var bounds: LogBounds { state.withLock(\.told) }

    /// The same log as far as anybody here has seen it.
    public var seen: LogBounds { state.withLock(\.seen) }

    public var epoch: String { bounds.epoch }

    /// The log is another one from here on; what was read of the old one moves this no more.
    func replace(with bounds: LogBounds) { state.withLock { $0 = State(bounds) } }

    /// For those who tell listeners of what is new, or have them told.
    public func advance(to bounds: LogBounds) { state.withLock { $0.advance(to: bounds) } }

    /// For those who have read for somebody: what one was told of retention, nobody is told otherwise after it. The head that is told
    /// stays. Were it moved by a read that saw another node's commit first, the news of that commit would be none any more, and
    /// listeners would have it at the relay's next look, a second later.
    ///
    /// - Returns: what has been seen by now; of another log than `bounds`, if that has taken its place.
    @discardableResult
    public func saw(_ bounds: LogBounds) -> LogBounds {
        state.withLock { state in
            state.saw(bounds)
            return state.seen
        }
    }
}
