import Testing
import TipwireCore

@testable import tipwire

@Suite struct GoalAmountChangeTests {
    private static func goal(_ progress: Int, of amount: Int, _ state: String = "active") -> GoalObject {
        GoalObject(
            id: "g1", description: "Mic\u{7}", amountInCents: amount, progressInCents: progress, state: state)
    }

    private static func change(_ kind: GoalAmountChange.Kind, _ code: String = "USD") throws -> GoalAmountChange {
        GoalAmountChange(
            goalID: "g1", page: try #require(Slug("demo")), currency: try #require(Currency(code: code)), kind: kind)
    }

    @Test("An adjustment that goes too far is told how far it may go", arguments: [-401, 11_601])
    func range(_ cents: Int) throws {
        #expect(
            try Self.change(.adjustment(cents)).reason(Self.goal(400, of: 12_000))
                == "--amount must be from -4.00 to 116.00: the goal has $4.00 of $120.00")
    }

    @Test("The amounts are the currency's")
    func currency() throws {
        #expect(
            try Self.change(.adjustment(5_001), "JPY").reason(Self.goal(0, of: 5_000))
                == "--amount must be from 0 to 5000: the goal has 0 JPY of 5000 JPY")
    }

    @Test("What fits the goal by now isn't explained by it", arguments: [-400, 11_600])
    func fits(_ cents: Int) throws {
        #expect(try Self.change(.adjustment(cents)).reason(Self.goal(400, of: 12_000)) == nil)
        #expect(try Self.change(.edit).reason(Self.goal(400, of: 12_000)) == nil)
    }

    @Test("A completed goal keeps its progress and its amount")
    func completed() throws {
        let goal = Self.goal(2_000, of: 2_000, "completed")
        #expect(
            try Self.change(.adjustment(-1)).reason(goal)
                == #""Mic\u{7}" is completed with $20.00, and a completed goal can't be adjusted"#)
        #expect(
            try Self.change(.edit).reason(goal)
                == #""Mic\u{7}" is completed and keeps its amount, $20.00; only its description can be edited"#)
    }

    @Test("Numbers of any size are survived")
    func extremes() throws {
        for (progress, amount) in [(Int.min, Int.max), (Int.max, Int.min), (Int.min, 0)] {
            #expect(try Self.change(.adjustment(1)).reason(Self.goal(progress, of: amount)) == nil)
        }
    }

    @Test("A refusal is put in money with the goal as it is, asked for when it comes")
    func refusal() async throws {
        let refused = #"{"title":"t","status":422,"errors":[{"field":"amountInCents","detail":"must be less"}]}"#
        let goals = """
            {"data":[{"id":"g1","description":"Mic","amountInCents":12000,"progressInCents":400,"state":"active"}],\
            "next":null}
            """
        let server = try await ScriptedServer.start { _, request in
            let isList = request.hasPrefix("GET /api/v1/pages/demo/goals ")
            let (status, body) = isList ? ("200 OK", goals) : ("422 Unprocessable Content", refused)
            return .open("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:\(server.port)")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        let path = APIRequest(.post, "pages", "demo", "goals", "g1", "adjust")
        for (cents, words) in [
            (13_000, "--amount must be from -4.00 to 116.00: the goal has $4.00 of $120.00"),
            (1, "amountInCents: must be less"),
        ] {
            let request = try path.about(.goalAmount(Self.change(.adjustment(cents))))
            let failure = await #expect(throws: Failure.self) { _ = try await client.call(request) }
            #expect(failure?.message == words)
        }
        await client.close()
        try await server.close()
    }
}
