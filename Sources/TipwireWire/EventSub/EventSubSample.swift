import TipwireCore

/// What test deliveries tell of: an event of each type that never happened.
public enum EventSubSample {
    public static func event(of type: EventSubType, at now: Timestamp) -> EventBody {
        switch type {
        case .alerts:
            .tipReceived(tip(at: now), goal: GoalStanding(id: goal.id, progressInCents: 1_500, targetInCents: 2_000))
        case .goalsProgress:
            .tipReceived(tip(at: now), goal: GoalStanding(id: goal.id, progressInCents: 1_500, targetInCents: 2_000))
        case .goalsCompleted:
            .goalCompleted(
                GoalCompletion(
                    goal: goal.id, name: goal.description, targetInCents: goal.amountInCents, overflowInCents: 300,
                    next: next, chainIndex: 0, chainTotal: 1))
        case .goalsChain: .goalsChained(GoalChain(tip: tipID, totalInCents: 7_500, goals: [goal.id, next.id]))
        case .goalsQueue:
            .goalQueueChanged(
                GoalQueueStatus(active: next, goalCount: 3, completedGoalCount: 1),
                .tip(tipID, surplusInCents: 0))
        }
    }

    private static let tipID = TipIdentifier("test-tip")!
    private static let goal = Goal(id: "test-goal-1", description: "A goal to test with", amountInCents: 2_000)
    private static let next = Goal(
        id: "test-goal-2", description: "The goal after it", amountInCents: 5_000, progressInCents: 300)

    private static func tip(at now: Timestamp) -> Tip {
        Tip(
            id: tipID, displayName: "Tipwire", message: "This is a test. Nobody has tipped.", grossAmountInCents: 500,
            processingFeeInCents: 0, isAnonymous: false, createdAt: now, processedAt: now)
    }
}
