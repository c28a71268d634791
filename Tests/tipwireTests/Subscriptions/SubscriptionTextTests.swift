import Foundation
import Testing

@testable import tipwire

@Suite struct SubscriptionTextTests {
    /// 2026-07-01 15:04:05Z.
    private static let time = 1_782_918_245

    private static func subscription(_ members: String = "", state: String = "enabled", pending: Int = 0) throws
        -> SubscriptionObject
    {
        let body = """
            {"connection_id":"1-2-1782918245:3-0123456789abcdef","transport":{"method":"webhook",\
            "callback":"https://example.org/\\u0007"},"type":"alerts.notifications","version":"1",\
            "created_at":\(time),"page":"demo","state":"\(state)","pending":\(pending),"dead":3,"later":[1]\(members)}
            """
        return try JSONDecoder().decode(SubscriptionObject.self, from: Data(body.utf8))
    }

    @Test("The list says where each webhook leads, how it stands and when it is tried again")
    func table() throws {
        var table = Table(SubscriptionText.columns)
        table.add(SubscriptionText.cells(try Self.subscription()))
        table.add(
            SubscriptionText.cells(
                try Self.subscription(
                    #","failing_since":\#(Self.time),"next_attempt_at":\#(Self.time + 60)"#, pending: 12)))
        table.add(
            SubscriptionText.cells(
                try Self.subscription(#","disabled_reason":"key revoked","condition":null"#, state: "disabled")))
        #expect(
            table.text == """
                ID                                 PAGE  TYPE                  CALLBACK                   \
                STATE                                        PENDING  DEAD  NEXT TRY
                1-2-1782918245:3-0123456789abcdef  demo  alerts.notifications  https://example.org/\\u{7}  \
                enabled                                            0     3
                1-2-1782918245:3-0123456789abcdef  demo  alerts.notifications  https://example.org/\\u{7}  \
                enabled, failing since 2026-07-01 15:04:05Z       12     3  2026-07-01 15:05:05Z
                1-2-1782918245:3-0123456789abcdef  demo  alerts.notifications  https://example.org/\\u{7}  \
                disabled: key revoked                              0     3

                """)
    }

    @Test(
        "The next try is the retry that waits, but not before a pause is over and never of a disabled webhook",
        arguments: [
            (#","next_attempt_at":60"#, "enabled", 1, "1970-01-01 00:01:00Z"),
            (#","next_attempt_at":60,"paused_until":120"#, "enabled", 1, "1970-01-01 00:02:00Z"),
            (#","next_attempt_at":60,"paused_until":30"#, "enabled", 1, "1970-01-01 00:01:00Z"),
            (#","paused_until":120"#, "enabled", 1, "1970-01-01 00:02:00Z"),
            (#","paused_until":120"#, "enabled", 0, ""), ("", "enabled", 1, ""),
            (#","next_attempt_at":60"#, "disabled", 1, ""),
        ])
    func nextTry(_ members: String, _ state: String, _ pending: Int, _ expected: String) throws {
        let subscription = try Self.subscription(members, state: state, pending: pending)
        #expect(SubscriptionText.nextTry(subscription).description == expected)
    }

    @Test("One webhook is shown whole, its condition included")
    func properties() throws {
        let text = SubscriptionText.properties(
            try Self.subscription(
                #","condition":{"minimum_amount":"5.00"},"paused_until":\#(Self.time)"#
                    + #","last_failure":"answered 500","key_id":"k1","previous_secret_expires_at":\#(Self.time)"#,
                pending: 2))
        #expect(
            text == """
                id                1-2-1782918245:3-0123456789abcdef
                page              demo
                type              alerts.notifications
                condition         minimum_amount 5.00
                callback          https://example.org/\\u{7}
                state             enabled
                last failure      answered 500
                paused until      2026-07-01 15:04:05Z
                pending           2
                next try          2026-07-01 15:04:05Z
                dead              3
                old secret until  2026-07-01 15:04:05Z
                key               k1
                created           2026-07-01 15:04:05Z

                """)
        // What there is nothing to tell of has no line.
        #expect(!SubscriptionText.properties(try Self.subscription()).contains("paused"))
    }

    @Test("A change says how the webhook is now and what waits for it")
    func change() throws {
        let id = "1-2-1782918245:3-0123456789abcdef"
        #expect(
            SubscriptionText.change(try Self.subscription(pending: 12))
                == "webhook \(id) is enabled · 12 deliveries wait; what happened meanwhile is sent too\n")
        #expect(
            SubscriptionText.change(try Self.subscription(state: "disabled", pending: 1))
                == "webhook \(id) is disabled · 1 delivery waits; what happens from now on stays in the log, "
                + "and is sent when it is enabled\n")
    }

    @Test("What keeps a delivery from its first attempt is said, if anything does")
    func hindrance() throws {
        func words(_ members: String = "", state: String = "enabled", pending: Int = 1) throws -> String? {
            SubscriptionText.hindrance(try Self.subscription(members, state: state, pending: pending))
        }
        #expect(
            try words(#","disabled_reason":"disabled by its owner","paused_until":60"#, state: "disabled")
                == "the webhook is disabled by its owner")
        #expect(
            try words(#","disabled_reason":"key revoked""#, state: "disabled")
                == "the webhook is disabled: key revoked")
        #expect(try words(#","paused_until":60"#)?.hasSuffix("nothing is sent until 1970-01-01 00:01:00Z") == true)
        #expect(
            try words(pending: 7)
                == "7 deliveries wait, this one among them; first attempts are made one at a time")
        #expect(
            try words(#","last_failure":"answered 500""#, pending: 7)
                == "the endpoint fails (the last time: answered 500), and gets one attempt at a time")
        #expect(try words() == nil)
    }

    @Test(
        "Seconds that are no time with four digits are shown as they came, and none is too large",
        arguments: [
            (0, "1970-01-01 00:00:00Z"), (253_402_300_799, "9999-12-31 23:59:59Z"), (253_402_300_800, "253402300800"),
            (-1, "-1"), (Int.max, "9223372036854775807"),
        ])
    func moments(_ seconds: Int, _ expected: String) {
        #expect(Wording.moment(seconds).description == expected)
    }
}
