import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("Deliveries that somebody asks for", .timeLimit(.minutes(1)))
struct SendingAgainTests {
    /// A webhook with three deliveries, made a minute apart: one that arrived, and two that were refused for good.
    private static func withHistory(
        _ body: @Sendable (WebhookLife, Webhook, [String]) async throws -> Void
    ) async throws {
        try await withWebhooks { life in
            let webhook = try await life.make()
            var ids: [String] = []
            for index in 0..<3 {
                life.sender.behave { _ in
                    index == 0 ? .answer(200) : AttemptReport(outcome: .wrongPeer, duration: .zero)
                }
                ids += try await life.tip()
                try await life.settled(webhook)
                life.clock.advance(milliseconds: 60_000)
            }
            try #require(try await life.states(webhook) == [.delivered, .dead(.refused), .dead(.refused)])
            life.sender.behave { _ in .answer(201) }
            try await body(life, webhook, ids)
        }
    }

    @Test("What somebody asks for doesn't wait until a failing endpoint has been left alone long enough")
    func pause() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(500) }
            let webhook = try await life.make()
            let ids = try await life.tip(5)
            _ = try await life.sender.begun(5)
            try await eventually { life.engine.standing(of: webhook).pausedUntil != nil && life.pending(webhook) == 5 }
            #expect(life.engine.standing(of: webhook).lastFailure?.outcome == .rejected(status: 500, retryAfter: nil))
            try await eventually { life.engine.activity.running == 0 }
            let test = try #require(try await life.engine.test(webhook))
            #expect(try await life.sender.begun(6)[5].id.hasPrefix("test-"))
            try await eventually { life.engine.standing(of: webhook).pausedUntil != nil }
            try await eventually { try await life.store.delivery(test)?.attempts == 1 }
            life.sender.behave { _ in .answer(200) }
            let first = try #require(try await life.engine.delivery(ids[0], of: webhook))
            #expect(try await life.engine.retry(first))
            #expect(try await life.sender.begun(7)[6].id == ids[0])
            try await eventually { life.engine.standing(of: webhook).failingSince == nil }
            #expect(life.engine.standing(of: webhook).lastFailure == nil)
        }
    }

    @Test("A dead letter that is sent again goes out at once, with its id and body, and is counted anew")
    func one() async throws {
        try await Self.withHistory { life, webhook, ids in
            let id = try #require(try await life.engine.delivery(ids[1], of: webhook))
            #expect(try await life.engine.retry(id))
            let attempts = try await life.sender.begun(4)
            #expect(attempts[3].id == ids[1] && attempts[3].body == attempts[1].body && attempts[3].number == 2)
            try await life.settled(webhook)
            #expect(try await life.states(webhook) == [.delivered, .delivered, .dead(.refused)])
            let delivery = try #require(try await life.deliveries(webhook).dropFirst().first)
            #expect(delivery.attempts == 2 && delivery.round == 1 && delivery.last?.status == 201)
            #expect(try await life.store.attempts(of: delivery.id).map(\.status) == [nil, 201])
        }
    }

    @Test("A delivery that fails again has the whole schedule before it once more")
    func wholeSchedule() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(500) }
            let webhook = try await life.make()
            let ids = try await life.tip()
            try await eventually { life.engine.standing(of: webhook).nextRetry != nil }
            life.clock.advance(milliseconds: 6_000)
            _ = try await life.sender.begun(2)
            try await eventually {
                life.engine.standing(of: webhook).nextRetry.map { $0 > life.clock.now() } ?? false
            }
            let id = try #require(try await life.engine.delivery(ids[0], of: webhook))
            // Five minutes before it would be due.
            #expect(try await life.engine.retry(id))
            let again = try await life.sender.begun(3)
            #expect(again[2].number == 3 && again[2].began == life.clock.now())
            try await eventually { try await life.deliveries(webhook)[0].round == 1 }
            guard case .retry(let due) = try await life.states(webhook)[0] else { throw BrokenStore() }
            #expect((5_000...6_000).contains(due.milliseconds - life.clock.now().milliseconds))
            #expect(life.pending(webhook) == 1)
        }
    }

    @Test("All dead letters are sent again, or those of a time, of a state, of a status")
    func selections() async throws {
        try await Self.withHistory { life, webhook, ids in
            let start = life.clock.now().advanced(milliseconds: -180_000)
            func times(_ from: Int64, _ to: Int64, _ kind: DeliveryKind?) -> RetrySelection {
                RetrySelection(
                    kind: kind, from: start.advanced(milliseconds: from), to: start.advanced(milliseconds: to))
            }
            let cases: [(RetrySelection, [String])] = [
                (times(120_001, 999_999, nil), []), (times(60_000, 120_000, nil), [ids[1]]),
                (RetrySelection(kind: nil, status: 200), [ids[0]]), (RetrySelection(kind: .dead), [ids[2]]),
                (RetrySelection(kind: .delivered, status: 201), ids), (RetrySelection(kind: .pending), []),
            ]
            for (selection, expected) in cases {
                let before = life.sender.ids().count
                #expect(try await life.engine.retry(selection, of: webhook) == expected.count)
                try await life.settled(webhook)
                #expect(Set(life.sender.ids().dropFirst(before)) == Set(expected), "\(selection)")
            }
        }
    }

    @Test("What isn't there can't be sent again")
    func unknown() async throws {
        try await Self.withHistory { life, webhook, ids in
            let other = try await life.make("https://other.example/")
            for id in ["test-0123456789abcdef", "x", "", "00000000-1", ids[0] + "0x"] {
                #expect(try await life.engine.delivery(id, of: webhook) == nil, "\(id)")
            }
            let foreign = try #require(try await life.engine.delivery(ids[0], of: other))
            #expect(try await life.engine.retry(foreign) == false)
            #expect(life.pending(other) == 0)
        }
    }

    @Test("Of a disabled webhook it waits until that is enabled")
    func disabled() async throws {
        try await Self.withHistory { life, webhook, ids in
            try await life.engine.subscriptions.disable(webhook)
            #expect(try await life.engine.retry(RetrySelection(kind: .dead), of: webhook) == 2)
            #expect(life.pending(webhook) == 2 && life.sender.ids().count == 3)
            _ = try await life.engine.subscriptions.enable(webhook, key: nil)
            try await life.settled(webhook)
            #expect(Set(life.sender.ids().dropFirst(3)) == Set(ids[1...]))
        }
    }

    @Test("A test goes the way of every delivery, marked as one", arguments: EventSubType.allCases)
    func test(type: EventSubType) async throws {
        try await withWebhooks { life in
            let webhook = try await life.make(type: type)
            let id = try #require(try await life.engine.test(webhook))
            let sent = try await life.sender.begun(1)[0]
            #expect(sent.id.wholeMatch(of: #/test-[0-9a-f]{16}/#) != nil)
            #expect(sent.body.hasSuffix(#","id":"\#(sent.id)","test":true}"#))
            #expect(sent.body.contains(#""type":"\#(type.rawValue)""#))
            try await life.settled(webhook)
            #expect(id.isTest && life.position.bounds.head == 0, "the log knows nothing of it")
            #expect(try await life.engine.delivery(sent.id, of: webhook) == id)
            #expect(try await life.states(webhook) == [.delivered])
        }
    }

    @Test("Tests between events keep their place among them, and a failed one is tried again")
    func testOrder() async throws {
        try await withWebhooks { life in
            let gate = Gate()
            life.sender.behave { attempt in
                try await gate.pass()
                return .answer(attempt.id.hasPrefix("test") && attempt.number == 1 ? 500 : 200)
            }
            let webhook = try await life.make()
            let before = try await life.tip()
            try await life.dispatched()
            for _ in 0..<2 { _ = try await life.engine.test(webhook) }
            let after = try await life.tip(2)
            try await life.dispatched()
            #expect(life.pending(webhook) == 5)
            gate.open()
            let sent = try await life.sender.begun(5).map(\.id)
            #expect([sent[0], sent[3], sent[4]] == before + after)
            try await eventually { life.pending(webhook) == 2 }
            life.clock.advance(milliseconds: 6_000)
            try await life.settled(webhook)
            #expect(Set(life.sender.ids().suffix(2)) == Set(sent[1...2]))
        }
    }

    @Test("Of a webhook that is gone there is no test")
    func gone() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make(of: life.bench.side)
            try await life.engine.subscriptions.delete(webhook)
            #expect(try await life.engine.test(webhook) == nil)
        }
    }
}
