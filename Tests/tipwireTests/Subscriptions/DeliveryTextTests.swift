import Foundation
import Testing

@testable import tipwire

@Suite struct DeliveryTextTests {
    /// 2026-07-01 15:04:05Z.
    private static let time = 1_782_918_245

    private static func delivery(_ state: String, attempts: Int, _ members: String = "") throws -> DeliveryObject {
        let body = """
            {"id":"8f3a1c07-42","type":"alerts.notifications","created_at":\(time),"attempts":\(attempts),\
            "state":"\(state)","test":false\(members)}
            """
        return try JSONDecoder().decode(DeliveryObject.self, from: Data(body.utf8))
    }

    private static let waiting = #","status":null,"next_attempt_at":\#(time),"reason":null,"outcome":null"#
    private static let failed = #","status":500,"next_attempt_at":\#(time + 60),"outcome":"answered 500""#
    private static let dead = #","next_attempt_at":null,"reason":"refused","outcome":"10.0.0.1\u0007 is private""#

    @Test("The list says how each delivery stands, why it is dead, and when it is tried again")
    func table() throws {
        let deliveries = [
            try Self.delivery("pending", attempts: 0, Self.waiting),
            try Self.delivery("pending", attempts: 2, Self.failed),
            try Self.delivery("delivered", attempts: 1, #","status":204"#),
            try Self.delivery("dead", attempts: 10, Self.dead),
        ]
        #expect(
            DeliveryText.table(deliveries) == """
                ID           TYPE                  TIME                  STATE          ATTEMPTS  \
                OUTCOME                   NEXT TRY
                8f3a1c07-42  alerts.notifications  2026-07-01 15:04:05Z  pending               0  \
                                          2026-07-01 15:04:05Z
                8f3a1c07-42  alerts.notifications  2026-07-01 15:04:05Z  pending               2  \
                answered 500              2026-07-01 15:05:05Z
                8f3a1c07-42  alerts.notifications  2026-07-01 15:04:05Z  delivered             1  \
                answered 204
                8f3a1c07-42  alerts.notifications  2026-07-01 15:04:05Z  dead: refused        10  \
                10.0.0.1\\u{7} is private

                """)
    }

    @Test("One delivery is shown with what is sent and with every attempt")
    func whole() throws {
        let log = """
            ,"request":{"body":"{\\"type\\":\\"message\\"}"},"log":[{"number":1,"began_at":\(Self.time),\
            "duration_ms":12,"status":500,"outcome":"answered 500","answer":"no\\nluck"},{"number":2,\
            "began_at":\(Self.time + 5),"duration_ms":15000,"status":null,"outcome":"no answer came in time",\
            "answer":null}]
            """
        #expect(
            DeliveryText.whole(try Self.delivery("pending", attempts: 2, Self.failed + log)) == """
                id        8f3a1c07-42
                type      alerts.notifications
                time      2026-07-01 15:04:05Z
                state     pending
                attempts  2
                next try  2026-07-01 15:05:05Z
                body      {"type":"message"}

                ATTEMPT  TIME                      TOOK  OUTCOME                 ANSWER
                      1  2026-07-01 15:04:05Z     12 ms  answered 500            no\\nluck
                      2  2026-07-01 15:04:10Z  15000 ms  no answer came in time

                """)
    }

    @Test("A body that the log no longer has is said to be gone, and without attempts there is no list of them")
    func bodyGone() throws {
        let text = DeliveryText.whole(
            try Self.delivery("dead", attempts: 0, #","reason":"no longer in the log","request":null,"log":[]"#))
        #expect(text.contains("state     dead: no longer in the log\n"))
        #expect(text.hasSuffix("body      not kept: the log no longer has the event\n"))
    }

    @Test("A test that came through says how it was answered and how fast")
    func success() throws {
        let log = """
            ,"status":200,"outcome":"answered 200","log":[{"number":1,"began_at":1,"duration_ms":12,\
            "outcome":"answered 200"}]
            """
        #expect(
            DeliveryText.success(try Self.delivery("delivered", attempts: 1, log))
                == "delivered · answered 200 · 12 ms · delivery 8f3a1c07-42\n")
    }

    @Test("A test that failed says why, and when it is tried again")
    func failure() throws {
        #expect(
            DeliveryText.failure(try Self.delivery("pending", attempts: 1, Self.failed))
                == "not delivered: answered 500; it is tried again at 2026-07-01 15:05:05Z")
        #expect(
            DeliveryText.failure(try Self.delivery("dead", attempts: 1, Self.dead))
                == #"not delivered: 10.0.0.1\u{7} is private; it is given up (refused)"#)
    }

    @Test("A retry says how many there are")
    func retry() throws {
        func many(_ count: Int, _ state: String = "enabled") -> String {
            DeliveryText.retry(RetryAnswer(retried: count, state: state))
        }
        #expect(many(0).hasPrefix("no delivery fits, so none is tried again; those that wait"))
        #expect(many(1) == "1 delivery is tried again\n")
        #expect(many(12) == "12 deliveries are tried again\n")
        #expect(
            many(12, "disabled")
                == "12 deliveries are tried again when the webhook is enabled; now it is disabled\n")
        #expect(
            DeliveryText.retry(try Self.delivery("pending", attempts: 1, Self.failed))
                == "delivery 8f3a1c07-42 is tried again · before: answered 500\n")
        #expect(
            DeliveryText.retry(try Self.delivery("pending", attempts: 1, #","outcome":"answered 500""#))
                == "delivery 8f3a1c07-42 is tried again when the webhook is enabled; now it is disabled"
                + " · before: answered 500\n")
    }

    @Test(
        "An attempt has ended when it has an outcome, or when there will be none",
        arguments: [
            ("pending", waiting, false), ("pending", failed, true), ("pending", #","status":500"#, true),
            ("dead", "", true), ("delivered", "", true),
        ])
    func tried(_ state: String, _ members: String, _ isTried: Bool) throws {
        #expect(try Self.delivery(state, attempts: 0, members).isTried == isTried)
    }
}
