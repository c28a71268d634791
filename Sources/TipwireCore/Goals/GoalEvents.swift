/// A goal as it stood after a tip: what `tip.received` says of it.
public struct GoalStanding: Hashable, Sendable {
    public let id: Goal.ID
    public let progressInCents: Int
    public let targetInCents: Int

    public init(id: Goal.ID, progressInCents: Int, targetInCents: Int) {
        self.id = id
        self.progressInCents = progressInCents
        self.targetInCents = targetInCents
    }

    init(_ goal: Goal) {
        self.init(id: goal.id, progressInCents: goal.progressInCents, targetInCents: goal.amountInCents)
    }
}

/// A tip completed a goal.
public struct GoalCompletion: Hashable, Sendable {
    public let goal: Goal.ID
    public let name: String
    public let targetInCents: Int
    /// What is left of the tip after this goal, even if the next one can't hold it.
    public let overflowInCents: Int
    /// The goal that comes next, with what spills into it; nil after the last.
    public let next: Goal?
    /// This goal's place among those that the tip completed, from 0.
    public let chainIndex: Int
    public let chainTotal: Int

    public init(
        goal: Goal.ID, name: String, targetInCents: Int, overflowInCents: Int, next: Goal?, chainIndex: Int,
        chainTotal: Int
    ) {
        self.goal = goal
        self.name = name
        self.targetInCents = targetInCents
        self.overflowInCents = overflowInCents
        self.next = next
        self.chainIndex = chainIndex
        self.chainTotal = chainTotal
    }
}

/// A tip completed two goals or more.
public struct GoalChain: Hashable, Sendable {
    public let tip: TipIdentifier
    public let totalInCents: Int
    /// The completed goals, in order.
    public let goals: [Goal.ID]

    public init(tip: TipIdentifier, totalInCents: Int, goals: [Goal.ID]) {
        self.tip = tip
        self.totalInCents = totalInCents
        self.goals = goals
    }
}

/// A queue in three facts, as overlays need it.
public struct GoalQueueStatus: Hashable, Sendable {
    public let active: Goal?
    /// All goals of the page, completed ones included; removed ones are gone.
    public let goalCount: Int
    public let completedGoalCount: Int

    public init(active: Goal?, goalCount: Int, completedGoalCount: Int) {
        self.active = active
        self.goalCount = goalCount
        self.completedGoalCount = completedGoalCount
    }
}

/// Why a queue changed: enough to do the same to a copy of it.
public enum GoalChange: Hashable, Sendable {
    /// A tip completed at least one goal. It is explained by the `tip.received` before it.
    ///
    /// - surplusInCents: what no goal was left to take.
    case tip(TipIdentifier, surplusInCents: Int)
    case added(Goal.ID, description: String, amountInCents: Int)
    /// Nil: not named in the edit. A surplus is the progress beyond a lowered amount, which spills nowhere.
    case edited(Goal.ID, description: String?, amountInCents: Int?, surplusInCents: Int)
    case removed(Goal.ID)
    /// The goals that are not completed, in their new order.
    case reordered([Goal.ID])
    case adjusted(Goal.ID, amountInCents: Int, reason: String)
    /// What the goals lost: never more than they had.
    case refunded(TipIdentifier, taken: [GoalCredit])

    public enum Kind: String, CaseIterable, Sendable {
        case tip, added, edited, removed, reordered, adjusted, refunded
    }

    public var kind: Kind {
        switch self {
        case .tip: .tip
        case .added: .added
        case .edited: .edited
        case .removed: .removed
        case .reordered: .reordered
        case .adjusted: .adjusted
        case .refunded: .refunded
        }
    }
}
