import Synchronization
import TipwireCore

/// The bounds of the log as this node knows them, readable from any thread without asking the store.
///
/// Only ever moves forward, but for a log that another one has taken the place of. A commit is known here before its caller is
/// answered, so that a feed opened after an answer starts behind what was answered.
public final class LogPosition: Sendable {
    private let state: Mutex<LogBounds>

    public init(_ bounds: LogBounds) { state = Mutex(bounds) }

    public var bounds: LogBounds { state.withLock { $0 } }

    public var epoch: String { state.withLock(\.epoch) }

    /// The log is another one from here on; what was read of the old one moves this no more.
    func replace(with bounds: LogBounds) { state.withLock { $0 = bounds } }

    /// For those who also tell the relay how far the log goes.
    public func advance(to bounds: LogBounds) {
        state.withLock { known in
            guard known.epoch == bounds.epoch else { return }
            known = LogBounds(
                epoch: known.epoch, head: max(known.head, bounds.head),
                prunedThrough: max(known.prunedThrough, bounds.prunedThrough))
        }
    }

    /// For those who have read for themselves: what one of them was told of retention, nobody is told otherwise after it. The head
    /// stays. Were it moved by a read that saw another node's commit first, the news of that commit would be none any more, and nobody
    /// would tell the relay.
    public func advance(prunedAsIn bounds: LogBounds) {
        advance(to: LogBounds(epoch: bounds.epoch, head: 0, prunedThrough: bounds.prunedThrough))
    }
}
