import Synchronization
import TipwireCore

/// The bounds of the log as this node knows them, readable from any thread without asking the store.
///
/// Only ever moves forward, but for a log that another one has taken the place of. A commit is known here before its caller is
/// answered, so that a feed opened after an answer starts behind what was answered.
public final class LogPosition: Sendable {
    private struct State {
        var told: LogBounds
        /// The furthest head of this log that a read has shown, which may be beyond what was told.
        var seenHead: Int64

        init(_ bounds: LogBounds) {
            told = bounds
            seenHead = bounds.head
        }
    }

    private let state: Mutex<State>

    public init(_ bounds: LogBounds) { state = Mutex(State(bounds)) }

    /// What this node was told of, and so tells its listeners of.
    public var bounds: LogBounds { state.withLock(\.told) }

    /// The same log as far as anybody here has seen it.
    public var seen: LogBounds {
        state.withLock { state in
            LogBounds(
                epoch: state.told.epoch, head: max(state.told.head, state.seenHead),
                prunedThrough: state.told.prunedThrough)
        }
    }

    public var epoch: String { bounds.epoch }

    /// The log is another one from here on; what was read of the old one moves this no more.
    func replace(with bounds: LogBounds) { state.withLock { $0 = State(bounds) } }

    /// For those who tell listeners of what is new, or have them told.
    public func advance(to bounds: LogBounds) {
        state.withLock { state in
            guard state.told.epoch == bounds.epoch else { return }
            state.told = LogBounds(
                epoch: bounds.epoch, head: max(state.told.head, bounds.head),
                prunedThrough: max(state.told.prunedThrough, bounds.prunedThrough))
        }
    }

    /// For those who have read for somebody: what one was told of retention, nobody is told otherwise after it. `bounds.head` stays.
    /// Were it moved by a read that saw another node's commit first, the news of that commit would be none any more, and
    /// listeners would have it at the relay's next look, a second later.
    public func saw(_ bounds: LogBounds) {
        advance(to: LogBounds(epoch: bounds.epoch, head: 0, prunedThrough: bounds.prunedThrough))
        state.withLock { state in
            if state.told.epoch == bounds.epoch { state.seenHead = max(state.seenHead, bounds.head) }
        }
    }
}
