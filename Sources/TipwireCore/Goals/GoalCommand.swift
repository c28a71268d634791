/// Something that someone wants done to a page's queue.
public enum GoalCommand: Hashable, Sendable {
    case add(Goal.ID, description: String, amountInCents: Int)
    /// Nil leaves a property as it is.
    case edit(Goal.ID, description: String?, amountInCents: Int?)
    case remove(Goal.ID)
    /// Every goal that is not completed, once, in the order wanted.
    case reorder([Goal.ID])
    /// Moves a goal's progress by hand, up or down.
    case adjust(Goal.ID, amountInCents: Int, reason: String)
}

/// Why a queue was not changed.
public enum GoalRefusal: Error, Hashable, Sendable {
    case unknown
    /// There is a goal of this id.
    case taken
    /// `Limits.goals` are there already.
    case full
    /// A completed goal keeps its amount.
    case amountIsFinal
    /// A completed goal can't be adjusted.
    case progressIsFinal
    /// The adjusted progress would not lie from 0 to the goal's amount.
    case outOfRange(Goal)
    case staleOrder(OrderDifference)
}

/// How an order differs from the queue that it is meant for: what happened since it was made up.
public struct OrderDifference: Hashable, Sendable {
    /// Goals of the queue that the order doesn't name.
    public let added: [Goal]
    /// Named goals that the queue doesn't have, or has no more.
    public let removed: [Goal.ID]
    /// Named goals that are completed, and so keep their place.
    public let completed: [Goal]
    /// Goals that are named more than once.
    public let repeated: [Goal.ID]

    public init(added: [Goal], removed: [Goal.ID], completed: [Goal], repeated: [Goal.ID]) {
        self.added = added
        self.removed = removed
        self.completed = completed
        self.repeated = repeated
    }

    var isEmpty: Bool { added.isEmpty && removed.isEmpty && completed.isEmpty && repeated.isEmpty }
}
