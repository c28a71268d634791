import NIOCore
import Testing
import TipwireCore
import TipwireWire

@Suite("The published examples of EventSub")
struct EventSubExampleTests {
    private func example(_ name: String) throws -> JSONValue { try ProtocolExample.json("eventsub-\(name)") }

    private var page: Page {
        Page(
            id: Page.ID(rawValue: 1), publicID: "1x1", slug: Slug("demo")!, title: "Demo page", customURL: nil,
            currency: .usd, owner: Account.ID(rawValue: 1), members: [], createdAt: Timestamp(milliseconds: 0))
    }

    private func tip(_ id: String, unixSeconds: Int) -> Tip {
        let time = Timestamp(milliseconds: Int64(unixSeconds) * 1_000)
        return Tip(
            id: TipIdentifier(id)!, displayName: "Ada", message: "Hello", grossAmountInCents: 500,
            processingFeeInCents: 0, isAnonymous: false, createdAt: time, processedAt: time)
    }

    private func body(_ event: EventBody, _ type: EventSubType) throws -> JSONValue {
        try JSONValue.parse(try #require(EventSubDefinition.of(type).body(of: event, page: page)))
    }

    private let standing = GoalStanding(id: "clx9goal1234", progressInCents: 1_500, targetInCents: 5_000)
    private let lighting = Goal(
        id: "clx9goal5678", description: "Lighting Upgrade", amountInCents: 10_000, progressInCents: 200)

    // Equality of objects minds the order of their members.

    @Test("Each type's body is sent as its example is")
    func bodies() throws {
        let alert = try example("alert")
        let tip = tip("order-1042", unixSeconds: try #require(alert["created_at"]?.integer))
        #expect(try body(.tipReceived(tip, goal: standing), .alerts) == alert)
        let completion = GoalCompletion(
            goal: "clx9goal1234", name: "New Webcam Fund", targetInCents: 5_000, overflowInCents: 200, next: lighting,
            chainIndex: 0, chainTotal: 1)
        #expect(try body(.goalCompleted(completion), .goalsCompleted) == example("goals-completed"))
        let chain = GoalChain(
            tip: TipIdentifier("clx1abc2def34")!, totalInCents: 15_000,
            goals: ["clx9goal1234", "clx9goal5678", "clx9goal9012"])
        #expect(try body(.goalsChained(chain), .goalsChain) == example("goals-chain"))
        let queue = try example("goals-queue")
        let status = GoalQueueStatus(
            active: lighting, goalCount: 4, completedGoalCount: try #require(queue["completed_goal_count"]?.integer))
        #expect(try body(.goalQueueChanged(status, .removed("gone")), .goalsQueue) == queue)
        let given = self.tip("clx1abc2def34", unixSeconds: 0)
        #expect(try body(.tipReceived(given, goal: standing), .goalsProgress) == example("goals-progress"))
    }

    @Test("A type tells of its own events alone")
    func silence() {
        let tip = tip("a", unixSeconds: 0)
        for type in EventSubType.allCases where type != .alerts {
            #expect(EventSubDefinition.of(type).body(of: .tipReceived(tip, goal: nil), page: page) == nil)
            #expect(EventSubDefinition.of(type).body(of: .tipReplayed(tip), page: page) == nil)
        }
        #expect(EventSubDefinition.of(.alerts).body(of: .tipRefunded(tip), page: page) == nil)
    }

    @Test("A whole message is put together as its example is")
    func message() throws {
        let example = try example("message")
        let created = try #require(example["subscription"]?["created_at"]?.integer)
        let subscription = EventSubscription(
            id: try #require(example["subscription"]?["connection_id"]?.text), page: page.id, account: page.owner,
            key: "k", type: .alerts, condition: EventSubCondition(minimumAmountInCents: 500, minimumAmount: "5.00"),
            createdAt: Timestamp(milliseconds: Int64(created) * 1_000))
        var bytes = EventSubMessage.beginning(subscription, transport: .webSocket)
        let tip = tip("order-1042", unixSeconds: try #require(example["data"]?["created_at"]?.integer))
        let rest = EventSubMessage.rest(
            .tipReceived(tip, goal: standing), of: .alerts, page: page, id: "8f3a1c07-42")
        bytes.writeImmutableBuffer(try #require(rest))
        #expect(try JSONValue.parse(bytes) == example)
    }

    @Test("A farewell is sent as its example is")
    func disconnect() throws {
        let sent = try JSONValue.parse(EventSubMessage.disconnect("this connection_id is connected already"))
        #expect(try sent == example("disconnect"))
    }
}
