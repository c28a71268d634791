/// A page's goals in their order: money in, completions out.
///
/// A pure value, and the only place where money meets goals. Tips go to the first goal that is not completed; what it
/// doesn't take spills into the next, and what no goal takes is surplus. Every cent of a tip is in a credit or in the
/// surplus. Integers of minor units; the limits on tips, amounts and their number keep every sum far below 2^63.
public struct GoalQueue: Hashable, Sendable {
    public internal(set) var goals: [Goal]

    public init(_ goals: [Goal] = []) { self.goals = goals }

    var activeIndex: Int? { goals.firstIndex { !$0.isCompleted } }

    public var status: GoalQueueStatus {
        GoalQueueStatus(
            active: activeIndex.map { goals[$0] }, goalCount: goals.count,
            completedGoalCount: goals.count(where: \.isCompleted))
    }

    /// Every goal with its place.
    public var listed: [ListedGoal] {
        let active = activeIndex
        return goals.indices.map { index in
            ListedGoal(
                goals[index], goals[index].isCompleted ? .completed : index == active ? .active : .queued)
        }
    }

    public func listed(_ id: Goal.ID) -> ListedGoal? { listed.first { $0.goal.id == id } }

    /// What a tip did.
    public struct Reception: Hashable, Sendable {
        /// The goal that was active when the tip came, after it; nil when there was none.
        public let standing: GoalStanding?
        /// What each goal got, in order, none of it 0.
        public let credits: [GoalCredit]
        /// The goals that it completed, in order.
        public let completions: [GoalCompletion]
        /// What no goal took.
        public let surplusInCents: Int
    }

    /// Takes in a tip of `cents`, 1 or more.
    public mutating func receive(_ cents: Int) -> Reception {
        guard let first = activeIndex else {
            return Reception(standing: nil, credits: [], completions: [], surplusInCents: cents)
        }
        var left = cents
        var credits: [GoalCredit] = []
        var completed: [(goal: Goal, left: Int, next: Goal?)] = []
        var current: Int? = first
        while left > 0, let index = current {
            let credit = min(left, goals[index].missingInCents)
            goals[index].progressInCents += credit
            credits.append(GoalCredit(goal: goals[index].id, amountInCents: credit))
            left -= credit
            guard goals[index].isCompleted else { break }
            current = goals[(index + 1)...].firstIndex { !$0.isCompleted }
            completed.append((goals[index], left, current.map { goals[$0].credited(left) }))
        }
        let completions = completed.enumerated().map { place, step in
            GoalCompletion(
                goal: step.goal.id, name: step.goal.description, targetInCents: step.goal.amountInCents,
                overflowInCents: step.left, next: step.next, chainIndex: place, chainTotal: completed.count)
        }
        return Reception(
            standing: GoalStanding(goals[first]), credits: credits, completions: completions, surplusInCents: left)
    }

    /// Takes a tip's credits back out of the goals that are still open, as far as they hold so much.
    ///
    /// - Returns: what was taken, in the order of the credits; empty when nothing changed.
    public mutating func refund(_ credits: [GoalCredit]) -> [GoalCredit] {
        credits.compactMap { credit in
            guard let index = index(of: credit.goal), !goals[index].isCompleted else { return nil }
            let taken = min(credit.amountInCents, goals[index].progressInCents)
            guard taken > 0 else { return nil }
            goals[index].progressInCents -= taken
            return GoalCredit(goal: credit.goal, amountInCents: taken)
        }
    }

    func index(of id: Goal.ID) -> Int? { goals.firstIndex { $0.id == id } }
}
