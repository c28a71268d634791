import Synchronization
import TipwireCore

/// The bounds of the log as this node knows them, readable from any thread without asking the store.
///
/// Only ever moves forward. A commit is known here before its caller is answered, so that a feed opened after an answer
/// starts behind what was answered.
public final class LogPosition: Sendable {
    private let state: Mutex<LogBounds>
    /// The epoch of the log; fixed for the life of the process.
    public let epoch: String

    public init(_ bounds: LogBounds) {
        epoch = bounds.epoch
        state = Mutex(bounds)
    }

    public var bounds: LogBounds { state.withLock { $0 } }

    public func advance(to bounds: LogBounds) {
        state.withLock { known in
            known = LogBounds(
                epoch: known.epoch, head: max(known.head, bounds.head),
                prunedThrough: max(known.prunedThrough, bounds.prunedThrough))
        }
    }
}
