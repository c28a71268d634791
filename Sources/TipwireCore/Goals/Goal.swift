/// Something that a page collects for: what it is, how much it takes, and how much has come.
///
/// Amounts are minor units of the page's currency. The progress is never above the amount, and a goal is complete exactly
/// when the two are equal: there is no flag beside them that could say otherwise.
public struct Goal: Hashable, Sendable, Identifiable {
    /// What the API and the feeds show as its id; never used again for another goal.
    public let id: String
    public internal(set) var description: String
    public internal(set) var amountInCents: Int
    public internal(set) var progressInCents: Int

    public init(id: String, description: String, amountInCents: Int, progressInCents: Int = 0) {
        precondition((0...amountInCents).contains(progressInCents), "a goal's progress is from 0 to its amount")
        self.id = id
        self.description = description
        self.amountInCents = amountInCents
        self.progressInCents = progressInCents
    }

    public var isCompleted: Bool { progressInCents == amountInCents }
    /// What it still takes; 0 for a completed goal.
    public var missingInCents: Int { amountInCents - progressInCents }

    /// Where a goal stands in its queue.
    public enum State: String, Sendable {
        /// The first that is not completed: what tips go to.
        case active
        /// Waits for its turn.
        case queued
        case completed
    }

    /// The goal as it would stand with `cents` more, as many of them as it takes.
    func credited(_ cents: Int) -> Goal {
        var goal = self
        goal.progressInCents += min(cents, missingInCents)
        return goal
    }
}

/// A goal and its place in the queue.
public struct ListedGoal: Hashable, Sendable {
    public let goal: Goal
    public let state: Goal.State

    public init(_ goal: Goal, _ state: Goal.State) {
        self.goal = goal
        self.state = state
    }
}

/// What one tip put into one goal.
public struct GoalCredit: Hashable, Sendable {
    public let goal: Goal.ID
    public let amountInCents: Int

    public init(goal: Goal.ID, amountInCents: Int) {
        self.goal = goal
        self.amountInCents = amountInCents
    }
}
