import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("What webhooks rest on", .timeLimit(.minutes(1)))
struct WebhookAccessTests {
    /// Expects that nothing has been sent since, by something that comes behind it.
    private func expectSilence(_ life: WebhookLife, _ callback: String = "https://hook.example/") async throws {
        let before = life.sender.ids(to: callback).count
        let witness = try await life.make("https://witness.example/")
        try await life.tip()
        try await life.settled(witness)
        #expect(life.sender.ids(to: callback).count == before)
    }

    @Test("A revoked key disables its webhooks before the call returns, and nothing more is sent")
    func revoked() async throws {
        try await withWebhooks { life in
            let key = try await life.makeKey()
            let webhook = try await life.make(key: key)
            let own = try await life.make("https://own.example/")
            try await life.tip()
            try await life.settled(webhook)
            _ = try await life.directory.revokeKey(key)
            #expect(life.now(webhook)?.disabled == .keyRevoked && life.now(own)?.isEnabled == true)
            let stored = try await life.store.webhooks().webhooks.map(\.webhook.disabled)
            #expect(stored == [.keyRevoked, nil])
            try await expectSilence(life)
        }
    }

    @Test("A key that expires does so within a second")
    func expired() async throws {
        try await withWebhooks { life in
            let key = try await life.makeKey(expiresAt: life.clock.now().advanced(milliseconds: 60_000))
            let webhook = try await life.make(key: key)
            try await eventually { life.clock.sleepers >= 3 }
            life.clock.advance(milliseconds: 59_999)
            try await life.tip()
            try await life.settled(webhook)
            #expect(life.now(webhook)?.isEnabled == true)
            try await eventually {
                life.clock.advance(milliseconds: 1)
                return life.now(webhook)?.disabled == .keyExpired
            }
            try await expectSilence(life)
        }
    }

    @Test("What was lost while no server ran is noticed before anything is sent")
    func lostBetween() async throws {
        try await WebhookBench.run { bench in
            bench.sender.behave { _ in try await .never }
            try await bench.live { life in
                let webhook = try await life.make(key: try await life.makeKey())
                try await life.tip(2)
                _ = try await life.sender.begun(1)
                try await eventually { life.pending(webhook) == 2 }
            }
            _ = try await bench.store.deleteKey("k1")
            bench.sender.behave { _ in .answer(200) }
            try await bench.live { life in
                let webhook = try #require(life.engine.subscriptions.list { _ in true }.first)
                #expect(webhook.disabled == .keyRevoked)
                try await expectSilence(life)
                #expect(life.pending(webhook) == 2)
            }
        }
    }

    @Test("With its page a webhook is gone, and its place in the quota")
    func pageDeleted() async throws {
        try await withWebhooks { life in
            let key = try await life.makeKey()
            let webhook = try await life.make(of: life.bench.side, key: key)
            try await life.directory.deletePage(life.bench.side.id)
            #expect(life.now(webhook) == nil && life.engine.subscriptions.list { _ in true }.isEmpty)
            for _ in 0..<200 { _ = try await life.make(key: key) }
            await #expect(throws: SubscriptionQuota.Refusal.tooManyOfKey(limit: 200)) {
                _ = try await life.make(key: key)
            }
        }
    }

    @Test("A removed member's webhook is disabled, and enabling it sends nothing and says why")
    func memberRemoved() async throws {
        try await withWebhooks { life in
            let bob = try await life.directory.createAccount(
                NewAccount(name: Slug("bob")!, passwordHash: nil, createdAt: life.clock.now()))
            try await life.directory.addMember(bob.id, to: life.main.id)
            let webhook = try await life.engine.create(
                WebhookWish(
                    page: life.main, account: bob.id, key: nil, type: .alerts, condition: nil,
                    callback: "https://hook.example/", secret: nil))
            life.sender.behave { attempt in
                attempt.callback.contains("hook") ? .answer(500) : .answer(200)
            }
            try await life.tip(2)
            try await eventually { life.engine.standing(of: webhook).nextRetry != nil }
            _ = try await life.sender.begun(2)
            try await life.directory.removeMember(bob.id, from: life.main.id)
            #expect(life.now(webhook)?.disabled == .noAccess)
            try await life.engine.subscriptions.disable(webhook)
            life.clock.advance(milliseconds: 60_000)
            let refused = try await life.engine.subscriptions.enable(webhook, key: nil)
            #expect(refused?.disabled == .noAccess)
            try await expectSilence(life)
            #expect(life.sender.ids(to: "https://hook.example/").count == 2)
        }
    }

    @Test("Enabled by another key a webhook belongs to that one, and counts as its")
    func anotherKey() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make(key: try await life.makeKey())
            _ = try await life.directory.revokeKey("k1")
            _ = try await life.makeKey("k2")
            let enabled = try await life.engine.subscriptions.enable(webhook, key: "k2")
            #expect(enabled?.subscription.key == "k2" && enabled?.isEnabled == true)
            #expect(try await life.store.webhooks().webhooks[0].webhook.subscription.key == "k2")
            for _ in 0..<199 { _ = try await life.make(key: "k2") }
            await #expect(throws: SubscriptionQuota.Refusal.tooManyOfKey(limit: 200)) {
                _ = try await life.make(key: "k2")
            }
        }
    }

    @Test("An owner whose wish the store didn't keep has a webhook as before")
    func brokenDisable() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make()
            life.store.hook { $0.beforeUpdate = { throw BrokenStore() } }
            await #expect(throws: BrokenStore.self) { try await life.engine.subscriptions.disable(webhook) }
            #expect(life.now(webhook)?.isEnabled == true)
            try await life.tip()
            try await life.settled(webhook)
        }
    }

    @Test("Who lost their access gets nothing although the store couldn't keep that, which is tried again")
    func brokenLoss() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make(key: try await life.makeKey())
            life.store.hook { $0.beforeUpdate = { throw BrokenStore() } }
            _ = try await life.directory.revokeKey("k1")
            try await expectSilence(life)
            life.store.hook { $0.beforeUpdate = nil }
            try await eventually {
                life.clock.advance(milliseconds: 1_000)
                return life.now(webhook)?.disabled == .keyRevoked
            }
        }
    }

    @Test("A deleted webhook is gone with what waits, and what is under way to it ends in nothing")
    func deleted() async throws {
        try await withWebhooks { life in
            let gate = Gate()
            life.sender.behave { attempt in
                if attempt.callback.contains("hook") { try await gate.pass() }
                return .answer(200)
            }
            let webhook = try await life.make()
            try await life.tip(3)
            _ = try await life.sender.begun(1)
            try await life.engine.subscriptions.delete(webhook)
            #expect(life.now(webhook) == nil)
            gate.open()
            try await expectSilence(life)
            #expect(try await life.store.webhooks().webhooks.count == 1)
            #expect(life.engine.subscriptions.counts.pending == 0 && life.engine.activity.running == 0)
        }
    }
}
