import Testing
import TipwireCore

/// A goal of a table: `goal("a", 300, 1_000)` has 300 of 1,000.
func goal(_ id: String, _ progress: Int, _ amount: Int) -> Goal {
    Goal(id: id, description: "Goal \(id)", amountInCents: amount, progressInCents: progress)
}

@Suite("A tip to a queue of goals")
struct GoalQueueTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let before: [Goal]
        let tip: Int
        let after: [Goal]
        var standing: GoalStanding?
        var credits: [(String, Int)] = []
        /// Goal, overflow, and the next goal as it is told.
        var completions: [(String, Int, Goal?)] = []
        var surplus = 0
    }

    static let rows = [
        Row(
            testDescription: "without goals is surplus", before: [], tip: 500, after: [], surplus: 500),
        Row(
            testDescription: "with all goals completed is surplus", before: [goal("a", 100, 100)], tip: 500,
            after: [goal("a", 100, 100)], surplus: 500),
        Row(
            testDescription: "that completes nothing moves the active goal", before: [goal("a", 1_000, 5_000)],
            tip: 500,
            after: [goal("a", 1_500, 5_000)],
            standing: GoalStanding(id: "a", progressInCents: 1_500, targetInCents: 5_000), credits: [("a", 500)]),
        Row(
            testDescription: "one cent short completes nothing", before: [goal("a", 0, 500), goal("b", 0, 100)],
            tip: 499,
            after: [goal("a", 499, 500), goal("b", 0, 100)],
            standing: GoalStanding(id: "a", progressInCents: 499, targetInCents: 500), credits: [("a", 499)]),
        Row(
            testDescription: "that hits exactly completes, and nothing spills",
            before: [goal("a", 200, 500), goal("b", 40, 100)], tip: 300,
            after: [goal("a", 500, 500), goal("b", 40, 100)],
            standing: GoalStanding(id: "a", progressInCents: 500, targetInCents: 500), credits: [("a", 300)],
            completions: [("a", 0, goal("b", 40, 100))]),
        Row(
            testDescription: "that is too much spills into the next goal",
            before: [goal("a", 4_800, 5_000), goal("b", 0, 10_000)], tip: 400,
            after: [goal("a", 5_000, 5_000), goal("b", 200, 10_000)],
            standing: GoalStanding(id: "a", progressInCents: 5_000, targetInCents: 5_000),
            credits: [("a", 200), ("b", 200)], completions: [("a", 200, goal("b", 200, 10_000))]),
        Row(
            testDescription: "adds what spills to what the next goal has",
            before: [goal("a", 0, 100), goal("b", 30, 100)], tip: 150,
            after: [goal("a", 100, 100), goal("b", 80, 100)],
            standing: GoalStanding(id: "a", progressInCents: 100, targetInCents: 100),
            credits: [("a", 100), ("b", 50)], completions: [("a", 50, goal("b", 80, 100))]),
        Row(
            testDescription: "completes a chain, each step told with the whole rest, the next goal capped",
            before: [goal("a", 0, 100), goal("b", 50, 200), goal("c", 0, 1_000)], tip: 400,
            after: [goal("a", 100, 100), goal("b", 200, 200), goal("c", 150, 1_000)],
            standing: GoalStanding(id: "a", progressInCents: 100, targetInCents: 100),
            credits: [("a", 100), ("b", 150), ("c", 150)],
            completions: [("a", 300, goal("b", 200, 200)), ("b", 150, goal("c", 150, 1_000))]),
        Row(
            testDescription: "ends a chain on an exact hit",
            before: [goal("a", 0, 100), goal("b", 0, 200), goal("c", 7, 300)], tip: 300,
            after: [goal("a", 100, 100), goal("b", 200, 200), goal("c", 7, 300)],
            standing: GoalStanding(id: "a", progressInCents: 100, targetInCents: 100),
            credits: [("a", 100), ("b", 200)],
            completions: [("a", 200, goal("b", 200, 200)), ("b", 0, goal("c", 7, 300))]),
        Row(
            testDescription: "that overflows the last goal is credited to no goal",
            before: [goal("a", 0, 100), goal("b", 0, 200)], tip: 1_000,
            after: [goal("a", 100, 100), goal("b", 200, 200)],
            standing: GoalStanding(id: "a", progressInCents: 100, targetInCents: 100),
            credits: [("a", 100), ("b", 200)], completions: [("a", 900, goal("b", 200, 200)), ("b", 700, nil)],
            surplus: 700),
        Row(
            testDescription: "passes goals that are completed already",
            before: [goal("x", 5, 5), goal("a", 0, 100), goal("y", 9, 9), goal("b", 0, 100)], tip: 150,
            after: [goal("x", 5, 5), goal("a", 100, 100), goal("y", 9, 9), goal("b", 50, 100)],
            standing: GoalStanding(id: "a", progressInCents: 100, targetInCents: 100),
            credits: [("a", 100), ("b", 50)], completions: [("a", 50, goal("b", 50, 100))]),
    ]

    @Test("A tip", arguments: rows)
    func receive(row: Row) {
        var queue = GoalQueue(row.before)
        let reception = queue.receive(row.tip)
        #expect(queue.goals == row.after)
        #expect(reception.standing == row.standing)
        #expect(reception.credits == row.credits.map { GoalCredit(goal: $0.0, amountInCents: $0.1) })
        #expect(reception.surplusInCents == row.surplus)
        #expect(
            reception.completions
                == row.completions.enumerated().map { index, step in
                    GoalCompletion(
                        goal: step.0, name: "Goal \(step.0)",
                        targetInCents: row.before.first { $0.id == step.0 }!.amountInCents,
                        overflowInCents: step.1, next: step.2, chainIndex: index, chainTotal: row.completions.count)
                })
    }

    @Test("The largest tips to the largest goals stay far from the integer's end")
    func limits() {
        let most = Limits.goalAmountInCents.upperBound
        var queue = GoalQueue((0..<Limits.goals).map { goal("\($0)", 0, most) })
        for _ in 0..<100 { _ = queue.receive(Limits.grossAmountInCents.upperBound) }
        #expect(queue.goals[0].isCompleted && queue.goals[1].progressInCents == 0)
        #expect(queue.status == GoalQueueStatus(active: queue.goals[1], goalCount: 1_000, completedGoalCount: 1))
    }

    @Test("A goal is active, queued or completed by its place and its progress")
    func states() {
        let queue = GoalQueue([goal("a", 5, 5), goal("b", 1, 5), goal("c", 5, 5), goal("d", 4, 5)])
        #expect(queue.listed.map(\.state) == [.completed, .active, .completed, .queued])
        #expect(queue.listed("d")?.state == .queued && queue.listed("z") == nil)
        #expect(GoalQueue().status == GoalQueueStatus(active: nil, goalCount: 0, completedGoalCount: 0))
    }

    @Test(
        "A refund takes out of open goals what the tip gave, never more than they have, and nothing of completed ones")
    func refund() {
        var queue = GoalQueue([goal("a", 100, 100), goal("b", 30, 100), goal("c", 70, 100), goal("e", 0, 50)])
        let credits = [("a", 100), ("b", 50), ("c", 20), ("removed", 9), ("e", 5)]
        let taken = queue.refund(credits.map { GoalCredit(goal: $0.0, amountInCents: $0.1) })
        #expect(taken == [GoalCredit(goal: "b", amountInCents: 30), GoalCredit(goal: "c", amountInCents: 20)])
        #expect(queue.goals == [goal("a", 100, 100), goal("b", 0, 100), goal("c", 50, 100), goal("e", 0, 50)])
    }
}
