import Testing

@testable import tipwire

@Suite struct EventSubMessageTests {
    private static func message(_ type: String, _ data: String) -> String {
        """
        {"type":"message","subscription":{"connection_id":"1-1-1:1-0","you_can_connect_within":120,"transport":\
        {"method":"websocket"},"condition":null,"type":"\(type)","version":"1","created_at":1},"data":\(data),\
        "id":"8f3a1c07-42","later":[1]}
        """
    }

    private static func line(_ type: String, _ data: String, slug: String? = "demo", currency: String? = nil) throws
        -> String
    {
        guard case .event(let event, let id) = EventSubMessage(message(type, data)) else {
            Issue.record("no event: \(data)")
            return ""
        }
        #expect(id == "8f3a1c07-42")
        return event.line(on: ListenedPage(slug: slug, currency: currency))
    }

    private static func alert(
        _ amount: String, _ currency: String, nickname: String = "Ada", message: String = "", replay: Bool = false
    ) -> String {
        """
        {"id":"t1","kind":"donation","nickname":"\(nickname)","message":"\(message)","amount":"\(amount)",\
        "curr":"\(currency)","created_at":1782918245,"anonymous":false,"goal_id":null,"replay":\(replay)}
        """
    }

    private static let alerts = "alerts.notifications"

    @Test("A tip reads as on the feed, in its own currency, and a replay says that it is one")
    func tip() throws {
        #expect(
            try Self.line(Self.alerts, Self.alert("5.00", "USD", message: "hello"))
                == #"15:04:05Z  demo  Ada  $5.00  "hello""#)
        #expect(
            try Self.line(Self.alerts, Self.alert("500", "JPY", nickname: "", replay: true), slug: nil)
                == "15:04:05Z  Anonymous  500 JPY  replay")
    }

    @Test("No text can control the terminal, and an amount that is none is shown as it came")
    func hostile() throws {
        #expect(
            try Self.line(
                Self.alerts, Self.alert("\\u001b5", "XX\\u009b", nickname: "\\u001b[2J", message: "a\\nb"))
                == #"15:04:05Z  demo  \u{1b}[2J  \u{1b}5 XX\u{9b}  "a\nb""#)
        #expect(
            try Self.line(Self.alerts, Self.alert("5.001", "USD")) == "15:04:05Z  demo  Ada  5.001 USD")
    }

    private static let lights = #"{"id":"g2","description":"Lights\u0007","amount":10000,"progress":200}"#

    @Test("What is told of goals reads as the Event Hook's, in the currency of the page")
    func goals() throws {
        #expect(
            try Self.line(
                "goals.completed",
                #"{"goal_id":"g1","goal_name":"Webcam","goal_target":5000,"overflow_amount":200,"#
                    + #""next_goal":\#(Self.lights),"chain_index":0,"chain_total":2}"#, currency: "USD")
                    == """
                               demo  goal completed (1 of 2): "Webcam" ($50.00)  $2.00 over  \
                    next "Lights\\u{7}" $2.00 of $100.00 (2%)
                    """)
        #expect(
            try Self.line(
                "goals.chain", #"{"tip_id":"t1","total_amount":15000,"goals_completed":3,"goal_ids":["g1"]}"#,
                currency: "USD") == "           demo  3 goals completed by one tip of $150.00")
        #expect(
            try Self.line(
                "goals.queue", #"{"active_goal":null,"goal_count":4,"completed_goal_count":4}"#, currency: "USD")
                == "           demo  goals: 4 of 4 completed  no active goal")
        #expect(
            try Self.line(
                "goals.progress", #"{"tip_id":"t1","goal_id":"g1","goal_progress":1500,"goal_target":5000}"#)
                == "           demo  goal 1500 cents of 5000 cents (30%)")
    }

    @Test(
        "Only a line whose message names no currency has to be told it",
        arguments: [
            (alerts, alert("5.00", "USD"), false),
            ("goals.queue", #"{"active_goal":null,"goal_count":0,"completed_goal_count":0}"#, true),
            ("goals.progress", #"{"goal_progress":1,"goal_target":2}"#, true),
        ])
    func currency(_ type: String, _ data: String, _ needsCurrency: Bool) throws {
        guard case .event(let event, _) = EventSubMessage(Self.message(type, data)) else {
            Issue.record("no event: \(data)")
            return
        }
        #expect(event.needsCurrency == needsCurrency)
    }

    @Test(
        "Every other message is what it is",
        arguments: [
            ("PONG", EventSubMessage.pong),
            (#"{"type":"disconnect","data":{"msg":"the key was revoked"}}"#, .disconnect),
            (message("goals.later", "{}"), .other(type: "goals.later", id: "8f3a1c07-42")),
            (message(alerts, #"{"kind":"raid"}"#), .other(type: alerts, id: "8f3a1c07-42")),
            (
                message(alerts, alert("1.00", "USD").replacing("donation", with: "raid")),
                .other(type: alerts, id: "8f3a1c07-42")
            ),
            (#"{"type":"message","subscription":5,"id":7}"#, .other(type: "message", id: nil)),
            (#"{"type":"later"}"#, .other(type: "later", id: nil)),
            ("{}", .unreadable), ("", .unreadable), ("\"PONG\"", .unreadable), ("[1]", .unreadable),
        ])
    func others(_ text: String, _ message: EventSubMessage) {
        #expect(EventSubMessage(text) == message)
    }
}
