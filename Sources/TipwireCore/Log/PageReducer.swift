/// Decides which events a change to a page puts into the log: the one place where a tip becomes history.
///
/// A pure value. The store makes one per page and transaction, from the goals as they stand, feeds it that transaction's
/// changes in order, and appends what it returns; replaying the log gives the same state (`GoalReplay`). What a tip does
/// to the queue of goals stands beside the tip, in the same transaction.
public struct PageReducer: Sendable {
    public private(set) var queue: GoalQueue

    public init(queue: GoalQueue = GoalQueue()) { self.queue = queue }

    /// A new tip: the events it causes, in order, to stand consecutively in the log, and what it gave to which goal.
    public mutating func receive(_ tip: Tip) -> (events: [EventBody], credits: [GoalCredit]) {
        Self.events(of: tip, in: &queue)
    }

    /// The tip is shown again. Changes nothing but the log.
    public mutating func replay(_ tip: Tip) -> [EventBody] {
        [.tipReplayed(tip)]
    }

    /// The tip is taken back.
    ///
    /// - Parameters:
    ///   - tip: with its `refundedAt`.
    ///   - credits: what it gave when it was new.
    public mutating func refund(_ tip: Tip, credits: [GoalCredit]) -> [EventBody] {
        let taken = queue.refund(credits)
        if taken.isEmpty { return [.tipRefunded(tip)] }
        return [.tipRefunded(tip), .goalQueueChanged(queue.status, .refunded(tip.id, taken: taken))]
    }

    /// Someone changes the queue.
    public mutating func change(_ command: GoalCommand) throws(GoalRefusal) -> [EventBody] {
        let change = try queue.apply(command)
        return [.goalQueueChanged(queue.status, change)]
    }

    static func events(of tip: Tip, in queue: inout GoalQueue) -> (events: [EventBody], credits: [GoalCredit]) {
        let reception = queue.receive(tip.grossAmountInCents)
        var events: [EventBody] = [.tipReceived(tip, goal: reception.standing)]
        let completions = reception.completions
        if !completions.isEmpty {
            events += completions.map(EventBody.goalCompleted)
            if completions.count > 1 {
                events.append(
                    .goalsChained(
                        GoalChain(
                            tip: tip.id, totalInCents: tip.grossAmountInCents, goals: completions.map(\.goal))))
            }
            events.append(
                .goalQueueChanged(queue.status, .tip(tip.id, surplusInCents: reception.surplusInCents)))
        }
        return (events, reception.credits)
    }
}
