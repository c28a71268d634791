import Testing

@testable import tipwire

@Suite struct HookMessageTests {
    private static let page = ListenedPage(slug: "demo", currency: "USD")

    private static func line(_ json: String, on page: ListenedPage = page) throws -> String {
        guard case .event(let event) = HookMessage(json) else {
            Issue.record("no event: \(json)")
            return ""
        }
        return event.line(on: page)
    }

    private static let tip = """
        {"type":"tip:received","tipId":"t1","amount":500,"displayName":"Jamie","message":"Keep it up!",\
        "isAnonymous":false,"goalId":"g1","goalProgress":1500,"goalTarget":5000,\
        "timestamp":"2026-04-07T18:30:00.000Z","later":[1]}
        """

    @Test("A tip reads as on the feed, with its goal's progress behind")
    func tip() throws {
        #expect(
            try Self.line(Self.tip)
                == #"18:30:00Z  demo  Jamie  $5.00  "Keep it up!"  goal $15.00 of $50.00 (30%)"#)
        #expect(
            try Self.line(Self.tip, on: ListenedPage(slug: nil, currency: nil))
                == #"18:30:00Z  Jamie  500 cents  "Keep it up!"  goal 1500 cents of 5000 cents (30%)"#)
        #expect(
            try Self.line(Self.tip, on: ListenedPage(slug: "yen", currency: "JPY"))
                == #"18:30:00Z  yen  Jamie  500 JPY  "Keep it up!"  goal 1500 JPY of 5000 JPY (30%)"#)
    }

    @Test("A tip without message and goal ends with its amount, and no text can control the terminal")
    func plainTip() throws {
        let json = """
            {"type":"tip:received","tipId":"t1","amount":1,"displayName":"\\u001b[2J","message":null,\
            "isAnonymous":true,"goalId":null,"goalProgress":null,"goalTarget":null,\
            "timestamp":"2026-04-07T18:30:00.000Z"}
            """
        #expect(try Self.line(json) == #"18:30:00Z  demo  \u{1b}[2J  $0.01"#)
    }

    private static func completion(next: String, over: Int, index: Int, total: Int) -> String {
        """
        {"type":"tip:goal-completed","goalId":"g1","goalName":"New Webcam Fund","goalTarget":5000,\
        "overflowAmount":\(over),"nextGoal":\(next),"chainIndex":\(index),"chainTotal":\(total)}
        """
    }

    private static let lights = #"{"id":"g2","description":"Lighting\u0007","amount":10000,"progress":200}"#

    @Test("A completed goal stands under its tip, with what is over and what is next")
    func completion() throws {
        #expect(
            try Self.line(Self.completion(next: Self.lights, over: 200, index: 0, total: 1)) == """
                           demo  goal completed: "New Webcam Fund" ($50.00)  $2.00 over  \
                next "Lighting\\u{7}" $2.00 of $100.00 (2%)
                """)
        #expect(
            try Self.line(Self.completion(next: "null", over: 0, index: 1, total: 3))
                == #"           demo  goal completed (2 of 3): "New Webcam Fund" ($50.00)  no goal is next"#)
    }

    @Test("A chain and a changed queue are told in words")
    func queue() throws {
        let chain =
            #"{"type":"tip:overflow-chain","tipId":"t1","totalAmount":15000,"goalsCompleted":3,"goalIds":["g1"]}"#
        #expect(try Self.line(chain) == "           demo  3 goals completed by one tip of $150.00")
        let queue = #"{"type":"tip:queue-updated","activeGoal":\#(Self.lights),"goalCount":4,"completedGoalCount":2}"#
        #expect(
            try Self.line(queue)
                == #"           demo  goals: 2 of 4 completed  active "Lighting\u{7}" $2.00 of $100.00 (2%)"#)
        let empty = #"{"type":"tip:queue-updated","activeGoal":null,"goalCount":0,"completedGoalCount":0}"#
        #expect(try Self.line(empty) == "           demo  goals: 0 of 0 completed  no active goal")
    }

    @Test(
        "Every other message is what it is",
        arguments: [
            (#"{"type":"connected"}"#, HookMessage.connected),
            (#"{"type":"resumed","status":"gap"}"#, .resumed(status: "gap")),
            (#"{"type":"resumed"}"#, .resumed(status: "resumed")),
            (#"{"type":"tip:later","x":1}"#, .other(type: "tip:later")),
            (#"{"type":"tip:received","amount":"5"}"#, .other(type: "tip:received")),
            (#"{"type":"tip:received","amount":5.5}"#, .other(type: "tip:received")),
            ("{}", .unreadable), ("", .unreadable), ("[1]", .unreadable), ("{\"type\":5}", .unreadable),
        ])
    func others(_ text: String, _ message: HookMessage) {
        #expect(HookMessage(text) == message)
    }
}
