/// Decides which events a change to a page puts into the log: the one place where a tip becomes history.
///
/// A pure value. The store makes one per page and transaction, feeds it that transaction's changes in order, and
/// appends what it returns; replaying the log through a fresh reducer gives the same state. A tip is one entry; what
/// the page's queue of goals adds to it belongs here, beside the tip that moved it, in the same transaction.
public struct PageReducer: Sendable {
    public init() {}

    /// A new tip: the events it causes, in order, to stand consecutively in the log.
    public mutating func receive(_ tip: Tip) -> [EventBody] {
        [.tipReceived(tip, goal: nil)]
    }

    /// The tip is shown again. Changes nothing but the log.
    public mutating func replay(_ tip: Tip) -> [EventBody] {
        [.tipReplayed(tip)]
    }
}
