import NIOCore
import Testing
import TipwireCore
import TipwireWire

@Suite("The published examples of the Event Hook")
struct EventHookExampleTests {
    private func example(_ name: String) throws -> JSONValue { try ProtocolExample.json("event-hook-\(name)") }

    private func sent(_ body: EventBody) throws -> JSONValue {
        try JSONValue.parse(try #require(EventHookMessage.json(for: body)))
    }

    private func tip(
        _ id: String = "clx1abc2def34", _ cents: Int = 500, name: String = "Jamie", message: String = "Keep it up!"
    ) -> Tip {
        let time = Timestamp(rfc3339: "2026-04-07T18:30:00.000Z")!
        return Tip(
            id: TipIdentifier(id)!, displayName: name, message: message, grossAmountInCents: cents,
            processingFeeInCents: 0, isAnonymous: name.isEmpty, createdAt: time.advanced(milliseconds: -60_000),
            processedAt: time)
    }

    private let lighting = Goal(
        id: "clx9goal5678", description: "Lighting Upgrade", amountInCents: 10_000, progressInCents: 200)

    // Equality of objects minds the order of their members.

    @Test("A tip to an active goal is sent as its example is, member by member in order")
    func tipReceived() throws {
        let standing = GoalStanding(id: "clx9goal1234", progressInCents: 1_500, targetInCents: 5_000)
        #expect(try sent(.tipReceived(tip(), goal: standing)) == example("tip-received"))
    }

    @Test("An anonymous tip without message or goal is sent as its example is")
    func anonymous() throws {
        let example = try example("tip-received-anonymous")
        let id = try #require(example["tipId"]?.text)
        let cents = try #require(example["amount"]?.integer)
        #expect(example["displayName"]?.text == "Anonymous" && example["isAnonymous"]?.bool == true)
        #expect(example["message"] == .null && example["goalId"] == .null)
        #expect(example["goalProgress"] == .null && example["goalTarget"] == .null)
        #expect(try sent(.tipReceived(tip(id, cents, name: "", message: ""), goal: nil)) == example)
    }

    @Test("A completed goal is sent as its example is")
    func goalCompleted() throws {
        let completion = GoalCompletion(
            goal: "clx9goal1234", name: "New Webcam Fund", targetInCents: 5_000, overflowInCents: 200, next: lighting,
            chainIndex: 0, chainTotal: 1)
        #expect(try sent(.goalCompleted(completion)) == example("goal-completed"))
    }

    @Test("A chain is sent as its example is")
    func overflowChain() throws {
        let chain = GoalChain(
            tip: TipIdentifier("clx1abc2def34")!, totalInCents: 15_000,
            goals: ["clx9goal1234", "clx9goal5678", "clx9goal9012"])
        #expect(try sent(.goalsChained(chain)) == example("overflow-chain"))
    }

    @Test("A changed queue is sent as its example is, without the reason for the change")
    func queueUpdated() throws {
        let status = GoalQueueStatus(active: lighting, goalCount: 4, completedGoalCount: 2)
        #expect(try sent(.goalQueueChanged(status, .removed("gone"))) == example("queue-updated"))
    }

    @Test("A queue without an active goal, and a last completed goal, say null")
    func nulls() throws {
        let status = GoalQueueStatus(active: nil, goalCount: 1, completedGoalCount: 1)
        #expect(try sent(.goalQueueChanged(status, .removed("gone")))["activeGoal"] == .null)
        let completion = GoalCompletion(
            goal: "a", name: "A", targetInCents: 5, overflowInCents: 2, next: nil, chainIndex: 0, chainTotal: 1)
        #expect(try sent(.goalCompleted(completion))["nextGoal"] == .null)
    }

    @Test("The first messages are sent as their examples are")
    func system() throws {
        #expect(try JSONValue.parse(EventHookMessage.connected) == example("connected"))
        #expect(try JSONValue.parse(EventHookMessage.resumed(.resumed)) == example("resumed"))
    }

    @Test("A replay and a refund are told to nobody")
    func silent() {
        #expect(EventHookMessage.json(for: .tipReplayed(tip())) == nil)
        #expect(EventHookMessage.json(for: .tipRefunded(tip())) == nil)
    }

    @Test("A message is one data line, whatever the tipper wrote")
    func oneLine() throws {
        let wild = tip(name: "a\u{2028}b\u{85}c", message: "line 1\nline 2\r\u{FEFF}\u{2029}\"🎉")
        let json = try #require(EventHookMessage.json(for: .tipReceived(wild, goal: nil)))
        let lines = String(buffer: ServerSentEvent.message(json, id: "8f3a1c07-42")).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 4 && lines[0] == "id: 8f3a1c07-42" && lines[1].hasPrefix("data: {"))
        #expect(lines[2].isEmpty && lines[3].isEmpty)
        #expect(!lines[1].unicodeScalars.contains { ["\r", "\u{2028}", "\u{2029}"].contains($0) })
        #expect(try JSONValue.parse(json)["message"]?.text == wild.message)
    }
}
