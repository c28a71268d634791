extension GoalQueue {
    /// Does once more what an event of the log did.
    ///
    /// The state follows from `tip.received` and from the changes that people made; `goal.completed`, `goal.chain` and the
    /// `goal.queue` of a tip only tell what followed. Throws when the change can't have been made to this queue.
    public mutating func follow(_ body: EventBody) throws(GoalRefusal) {
        switch body {
        case .tipReceived(let tip, _): _ = receive(tip.grossAmountInCents)
        case .goalQueueChanged(_, let change): try follow(change)
        case .tipReplayed, .tipRefunded, .goalCompleted, .goalsChained: break
        }
    }

    private mutating func follow(_ change: GoalChange) throws(GoalRefusal) {
        switch change {
        case .tip: break
        case .added(let id, let description, let amount):
            _ = try apply(.add(id, description: description, amountInCents: amount))
        case .edited(let id, let description, let amount, _):
            _ = try apply(.edit(id, description: description, amountInCents: amount))
        case .removed(let id): _ = try apply(.remove(id))
        case .reordered(let order): _ = try apply(.reorder(order))
        case .adjusted(let id, let amount, let reason):
            _ = try apply(.adjust(id, amountInCents: amount, reason: reason))
        case .refunded(_, let taken): _ = refund(taken)
        }
    }
}

/// A page's goals, worked out once more from its events, each event held against those before it.
///
/// Fed from the beginning of the log, or from the states that retention kept, it must arrive at what the store holds.
public struct GoalReplay: Sendable {
    public private(set) var queue: GoalQueue
    /// What the last tip must still be followed by.
    private var expected: [EventBody] = []
    /// What the last tip gave to goals.
    public private(set) var credits: [GoalCredit] = []
    /// How many events the last tip caused, itself among them.
    public private(set) var tipEvents = 0

    public init(from queue: GoalQueue = GoalQueue()) { self.queue = queue }

    /// Something in the log that doesn't follow from what stands before it.
    public struct Contradiction: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String

        init(_ description: String) { self.description = description }
    }

    /// Takes the page's next event.
    public mutating func apply(_ body: EventBody) throws(Contradiction) {
        if let next = expected.first {
            guard body == next else {
                throw Contradiction("'\(body.kind.rawValue)' stands where the tip before it asks for another event")
            }
            expected.removeFirst()
            return
        }
        if case .tipReceived(let tip, let standing) = body {
            let (events, credits) = PageReducer.events(of: tip, in: &queue)
            expected = Array(events.dropFirst())
            self.credits = credits
            tipEvents = events.count
            guard events[0] == .tipReceived(tip, goal: standing) else {
                throw Contradiction("tip '\(tip.id)' says that its goal stood otherwise")
            }
            return
        }
        if case .goalQueueChanged(_, .refunded(let tip, let taken)) = body {
            var copy = queue
            guard copy.refund(taken) == taken else {
                throw Contradiction("the refund of tip '\(tip)' took what the goals didn't have")
            }
        }
        // What a tip caused may stand here without the tip: retention has taken it, and began with its effect.
        do {
            try queue.follow(body)
        } catch {
            throw Contradiction("'\(body.kind.rawValue)' can't have happened to the goals as they stood: \(error)")
        }
        if case .goalQueueChanged(let status, let change) = body, queue.status != status {
            throw Contradiction("a change of kind '\(change.kind.rawValue)' says that the queue stood otherwise")
        }
    }

    /// The page has no further events.
    public func finish() throws(Contradiction) {
        if let missing = expected.first {
            throw Contradiction("the log ends before the '\(missing.kind.rawValue)' that its last tip asks for")
        }
    }
}
