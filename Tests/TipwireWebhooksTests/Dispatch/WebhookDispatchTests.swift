import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("From the log to deliveries", .timeLimit(.minutes(1)))
struct WebhookDispatchTests {
    @Test("What is committed is sent, in order and one at a time, and then kept as delivered")
    func order() async throws {
        try await withWebhooks { life in
            let underWay = Watched((now: 0, most: 0))
            life.sender.behave { _ in
                underWay.change { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                await Task.yield()
                underWay.change { $0.now -= 1 }
                return .answer(200, "thanks")
            }
            let webhook = try await life.make()
            var ids: [String] = []
            for count in [1, 150, 3] { ids += try await life.tip(count) }
            let attempts = try await life.sender.begun(154)
            #expect(attempts.map(\.id) == ids)
            #expect(attempts.allSatisfy { $0.number == 1 && $0.callback == "https://hook.example/" })
            #expect(attempts[0].body.hasSuffix(#","id":"\#(ids[0])"}"#))
            #expect(attempts[0].body.contains(#""connection_id":"\#(webhook.id)""#))
            try await life.settled(webhook)
            #expect(underWay.value.most == 1)
            let deliveries = try await life.deliveries(webhook)
            #expect(deliveries.allSatisfy { $0.state == .delivered && $0.attempts == 1 })
            #expect(deliveries[0].last?.answer == "thanks" && deliveries[0].last?.duration == 12)
            #expect(life.engine.metrics.delivered.value == 154)
        }
    }

    @Test("Each webhook gets the events of its page, its type and its condition")
    func business() async throws {
        try await withWebhooks { life in
            _ = try await life.make("https://a.example/", atLeast: 500)
            _ = try await life.make("https://b.example/", of: life.bench.side)
            _ = try await life.make("https://c.example/", type: .goalsCompleted)
            try await life.tip(cents: 499)
            let big = try await life.tip(cents: 500)
            let side = try await life.tip(to: life.bench.side)
            _ = try await life.sender.begun(2)
            // Behind it all, so that nothing else can be under way.
            let last = try await life.tip(cents: 700)
            _ = try await life.sender.begun(3)
            #expect(life.sender.ids(to: "https://a.example/") == big + last)
            #expect(life.sender.ids(to: "https://b.example/") == side)
        }
    }

    @Test("A new webhook gets only what comes after it")
    func beginning() async throws {
        try await withWebhooks { life in
            let first = try await life.make("https://a.example/")
            try await life.tip(20)
            let second = try await life.make("https://b.example/")
            let after = try await life.tip(2)
            try await life.settled(first)
            try await life.settled(second)
            _ = try await life.sender.begun(24)
            #expect(life.sender.ids(to: "https://b.example/") == after)
            #expect(life.sender.ids(to: "https://a.example/").count == 22)
        }
    }

    @Test("A disabled webhook keeps what waits; enabled again it gets that, and all that came meanwhile, in order")
    func disabled() async throws {
        try await withWebhooks { life in
            let gate = life.sender.hold()
            let webhook = try await life.make()
            let before = try await life.tip(100)
            _ = try await life.sender.begun(1)
            try await eventually { life.pending(webhook) == 100 }
            try await life.engine.subscriptions.disable(webhook)
            #expect(life.now(webhook)?.disabled == .owner && life.pending(webhook) == 100)
            let meanwhile = try await life.tip(600)
            let enabled = try await life.engine.subscriptions.enable(webhook, key: nil)
            #expect(enabled?.isEnabled == true)
            let after = try await life.tip(1)
            gate.open()
            let attempts = try await life.sender.begun(701)
            #expect(attempts.map(\.id) == before + meanwhile + after)
            try await life.settled(webhook)
            #expect(try await life.states(webhook).allSatisfy { $0 == .delivered })
        }
    }

    @Test("While nobody is told of anything, nothing is written")
    func quiet() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make()
            try await life.tip()
            try await life.settled(webhook)
            try await life.engine.subscriptions.disable(webhook)
            let writes = life.store.dispatches.value
            let kept = life.engine.subscriptions.keptLevel
            try await life.tip(1_000)
            // Nor is anybody woken; how far the log goes is looked at each second.
            try await eventually { life.clock.sleepers >= 3 }
            life.clock.advance(milliseconds: WebhookDispatcher.pollInterval)
            try await eventually { life.engine.subscriptions.roster.level == life.position.bounds.head }
            #expect(life.store.dispatches.value == writes && life.engine.subscriptions.keptLevel == kept)
            // It isn't forgotten for all that.
            _ = try await life.engine.subscriptions.enable(webhook, key: nil)
            _ = try await life.sender.begun(1_001)
        }
    }

    @Test("While what is committed is nobody's business, the level is kept only now and then")
    func nobodysBusiness() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make(of: life.bench.side)
            try await life.tip(to: life.bench.side)
            try await life.settled(webhook)
            let writes = life.store.dispatches.value
            for _ in 0..<5 { try await life.tip(1_000) }
            try await eventually { life.engine.subscriptions.roster.level == life.position.bounds.head }
            #expect(life.store.dispatches.value == writes)
            for _ in 0..<6 { try await life.tip(1_000) }
            try await eventually { life.engine.subscriptions.roster.level == life.position.bounds.head }
            #expect(life.store.dispatches.value == writes + 1)
        }
    }

    @Test("When too many wait the oldest become dead letters, and the others are sent")
    func pendingLimit() async throws {
        try await withWebhooks {
            $0.maxPending = 10
        } _: { life in
            let gate = life.sender.hold()
            let webhook = try await life.make()
            let ids = try await life.tip(8)
            _ = try await life.sender.begun(1)
            try await eventually { life.pending(webhook) == 8 }
            let more = try await life.tip(8)
            try await eventually { life.pending(webhook) == 10 && life.store.dispatches.value == 2 }
            #expect(life.engine.metrics.deadLettersByReason.first { $0.reason == .tooManyPending }?.count == 6)
            gate.open()
            try await life.settled(webhook)
            #expect(life.sender.ids() == [ids[0]] + ids[6...] + more)
            // The first was under way, and did arrive.
            let dead = DeliveryState.dead(.tooManyPending)
            try await eventually { try await life.states(webhook).filter { $0 == .delivered }.count == 11 }
            #expect(try await life.states(webhook)[1...5].allSatisfy { $0 == dead })
            try await life.tip()
            try await life.settled(webhook)
            #expect(life.engine.subscriptions.counts.pending == 0)
        }
    }

    @Test("A store that keeps no deliveries holds them up, and nothing is missing afterwards")
    func brokenDispatch() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make()
            life.store.hook { $0.beforeDispatch = { throw BrokenStore() } }
            let ids = try await life.tip(3)
            try await life.store.dispatches.wait { $0 >= 1 }
            #expect(life.sender.ids() == [])
            life.store.hook { $0.beforeDispatch = nil }
            let more = try await life.tip(2)
            _ = try await life.sender.begun(5)
            try await life.settled(webhook)
            #expect(life.sender.ids() == ids + more)
        }
    }

    @Test("A wake-up that was lost costs a second")
    func poll() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make()
            try await eventually { life.clock.sleepers >= 3 }
            let draft = try TipDraft(validating: TipFields(grossAmountInCents: 5), now: life.clock.now())
            let commit = try await life.store.commit(
                [.receive(page: life.main.id, drafts: [draft], idempotencyKey: nil)], at: life.clock.now())
            life.position.advance(to: commit.bounds)
            life.clock.advance(milliseconds: WebhookDispatcher.pollInterval)
            _ = try await life.sender.begun(1)
            try await life.settled(webhook)
        }
    }
}
