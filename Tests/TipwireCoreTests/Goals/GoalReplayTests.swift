import Testing
import TipwireCore

@Suite("A page's goals by its log")
struct GoalReplayTests {
    private func tip(_ cents: Int, id: String = "t") -> Tip {
        Tip(
            id: TipIdentifier(id)!, displayName: "Ada", message: "", grossAmountInCents: cents,
            processingFeeInCents: 0, isAnonymous: false, createdAt: noon, processedAt: noon)
    }

    private func log() throws -> [EventBody] {
        var reducer = PageReducer()
        var log = try reducer.change(.add("a", description: "Goal a", amountInCents: 100))
        log += try reducer.change(.add("b", description: "Goal b", amountInCents: 100))
        log += reducer.receive(tip(150)).events
        return log
    }

    private func contradiction(_ events: [EventBody]) -> String? {
        var replay = GoalReplay()
        do {
            for event in events { try replay.apply(event) }
            try replay.finish()
            return nil
        } catch {
            return error.description
        }
    }

    @Test("A log as it was written has no contradiction")
    func sound() throws {
        let log = try log()
        #expect(
            log.map(\.kind) == [.goalQueueChanged, .goalQueueChanged, .tipReceived, .goalCompleted, .goalQueueChanged])
        #expect(contradiction(log) == nil)
        #expect(contradiction(log + [.tipReplayed(tip(150)), .tipRefunded(tip(150))]) == nil)
    }

    @Test("A log that lacks any one of its events contradicts itself", arguments: 0..<5)
    func missing(index: Int) throws {
        var log = try log()
        log.remove(at: index)
        #expect(contradiction(log) != nil)
    }

    @Test("A log with two events exchanged contradicts itself", arguments: 1..<4)
    func exchanged(index: Int) throws {
        var log = try log()
        log.swapAt(index, index + 1)
        #expect(contradiction(log) != nil)
    }

    @Test("A tip that counts twice contradicts the log")
    func doubled() throws {
        var log = try log()
        log.insert(.tipReceived(tip(1), goal: GoalStanding(id: "a", progressInCents: 2, targetInCents: 100)), at: 2)
        #expect(contradiction(log)?.contains("its goal stood otherwise") == true)
    }

    @Test("A refund that took what wasn't there contradicts the log")
    func refund() throws {
        var reducer = PageReducer(queue: GoalQueue([goal("a", 50, 100)]))
        let taken = [GoalCredit(goal: "a", amountInCents: 60)]
        var replay = GoalReplay(from: reducer.queue)
        let after = GoalQueueStatus(active: goal("a", 0, 100), goalCount: 1, completedGoalCount: 0)
        #expect(throws: GoalReplay.Contradiction.self) {
            try replay.apply(.goalQueueChanged(after, .refunded(TipIdentifier("t")!, taken: taken)))
        }
        var sound = GoalReplay(from: reducer.queue)
        for event in reducer.refund(tip(60), credits: taken) { try sound.apply(event) }
        #expect(sound.queue == GoalQueue([goal("a", 0, 100)]))
    }

    @Test("What follows a tip that retention has taken is passed over")
    func pruned() throws {
        let log = try log()
        var replay = GoalReplay(from: GoalQueue([goal("a", 100, 100), goal("b", 50, 100)]))
        for event in log.dropFirst(3) { try replay.apply(event) }
        try replay.finish()
        #expect(replay.queue == GoalQueue([goal("a", 100, 100), goal("b", 50, 100)]))
    }
}
