import ServiceLifecycle
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("Webhooks over the end of a server, and a store that fails", .timeLimit(.minutes(1)))
struct WebhookEngineTests {
    @Test("What a server leaves unfinished the next one finishes, repeating at most what was under way")
    func restart() async throws {
        try await WebhookBench.run { bench in
            let ids = Watched<[String]>([])
            bench.sender.behave { attempt in
                attempt.number == 1 && bench.sender.attempts.value.count > 40 ? try await .never : .answer(200)
            }
            try await bench.live { life in
                _ = try await life.make()
                let made = try await life.tip(100)
                ids.change { $0 = made }
                _ = try await life.sender.begun(41)
            }
            bench.sender.behave { _ in .answer(200) }
            try await bench.live { life in
                let webhook = try #require(life.engine.subscriptions.list { _ in true }.first)
                let more = try await life.tip(3)
                try await life.settled(webhook)
                try await life.settled(webhook)
                let sent = life.sender.ids()
                // The one that was cut off comes again, with its id.
                #expect(sent == ids.value[0...40] + ids.value[40...] + more)
                #expect(life.sender.attempts.value[41].number == 1, "it was never counted")
                #expect(try await life.states(webhook).allSatisfy { $0 == .delivered })
            }
        }
    }

    @Test("Retries, limits, secrets and reasons are as they were after a restart")
    func memory() async throws {
        try await WebhookBench.run { bench in
            let secret = WebhookSecret.random()
            bench.sender.behave { _ in .answer(500) }
            try await bench.live { life in
                let webhook = try await life.make(key: try await life.makeKey(), secret: secret)
                try await life.tip()
                try await eventually { life.engine.standing(of: webhook).nextRetry != nil }
                let other = try await life.make("https://other.example/")
                try await life.engine.subscriptions.disable(other)
            }
            bench.sender.behave { _ in .answer(200) }
            try await bench.live { life in
                let webhooks = life.engine.subscriptions.list { _ in true }
                try #require(webhooks.count == 2)
                #expect(webhooks[0].secrets.current == secret && webhooks[0].subscription.key == "k1")
                #expect(webhooks[1].disabled == .owner)
                let standing = life.engine.standing(of: webhooks[0])
                #expect(standing.pending == 1 && standing.failingSince == life.clock.now())
                #expect(standing.nextRetry.map { $0 > life.clock.now() } == true)
                life.clock.advance(milliseconds: 6_000)
                try await life.settled(webhooks[0])
                #expect(life.sender.attempts.value.map(\.number) == [1, 2])
                let healed = try #require(life.now(webhooks[0]))
                #expect(life.engine.standing(of: healed).failingSince == nil, "one success ends it")
            }
        }
    }

    @Test("What was committed while no server ran is sent by the next")
    func committedBetween() async throws {
        try await WebhookBench.run { bench in
            try await bench.live { life in
                let webhook = try await life.make()
                try await life.tip()
                try await life.settled(webhook)
            }
            let draft = try TipDraft(validating: TipFields(grossAmountInCents: 5), now: bench.clock.now())
            _ = try await bench.store.commit(
                [.receive(page: bench.main.id, drafts: [draft], idempotencyKey: nil)], at: bench.clock.now())
            try await bench.live { life in
                try await eventually { life.clock.sleepers >= 3 }
                life.clock.advance(milliseconds: WebhookDispatcher.pollInterval)
                _ = try await life.sender.begun(2)
            }
        }
    }

    @Test("What happened while nobody was to be told of it isn't read after a restart, but for whoever missed it")
    func nobodysBusiness() async throws {
        try await WebhookBench.run { bench in
            try await bench.live { life in
                let webhook = try await life.make()
                try await life.engine.subscriptions.disable(webhook)
                try await life.tip(20)
            }
            let reads = Watched(0)
            bench.store.hook { hooks in hooks.beforeEvents = { reads.change { $0 += 1 } } }
            try await bench.live { life in
                let other = try await life.make("https://other.example/")
                let ids = try await life.tip(1)
                try await life.settled(other)
                #expect(life.sender.ids() == ids && reads.value == 0)
                let webhook = try #require(life.engine.subscriptions.list { !$0.isEnabled }.first)
                _ = try await life.engine.subscriptions.enable(webhook, key: nil)
                #expect(try await life.sender.begun(22).count == 22)
            }
        }
    }

    @Test("Switched off and on amid an attempt, a delivery isn't attempted beside itself, and is counted once")
    func toggled() async throws {
        try await withWebhooks { life in
            let gate = life.sender.hold()
            let webhook = try await life.make()
            var ids = try await life.tip()
            _ = try await life.sender.begun(1)
            for _ in 0..<5 {
                try await life.engine.subscriptions.disable(webhook)
                #expect(life.engine.activity.running == 1)
                _ = try await life.engine.subscriptions.enable(webhook, key: nil)
            }
            ids += try await life.tip()
            try await eventually { life.pending(webhook) == 2 }
            #expect(life.sender.ids() == [ids[0]] && life.engine.activity.running == 1)
            gate.open()
            try await life.settled(webhook)
            #expect(life.sender.ids() == ids && life.pending(webhook) == 0 && life.engine.activity.running == 0)
        }
    }

    @Test("One that had to make room amid its attempt, and was asked for again, is counted once")
    func revivedAmidAttempt() async throws {
        try await withWebhooks {
            $0.maxPending = 1
        } _: { life in
            let gate = life.sender.hold()
            let webhook = try await life.make()
            let ids = try await life.tip()
            _ = try await life.sender.begun(1)
            try await life.tip()
            let first = try #require(try await life.engine.delivery(ids[0], of: webhook))
            try await eventually { try await life.store.delivery(first)?.state == .dead(.tooManyPending) }
            #expect(try await life.engine.retry(first) && life.pending(webhook) == 2)
            gate.open()
            try await life.settled(webhook)
            try await eventually { life.pending(webhook) == 0 }
            #expect(try await life.states(webhook) == [.delivered, .delivered])
        }
    }

    @Test("A store that keeps no ends holds the endpoint up, and then each is kept once")
    func brokenRecord() async throws {
        try await withWebhooks { life in
            let webhook = try await life.make()
            let tries = Watched(0)
            life.store.hook { hooks in
                hooks.beforeRecord = {
                    tries.change { $0 += 1 }
                    throw BrokenStore()
                }
            }
            let ids = try await life.tip(3)
            for count in 1...3 {
                try await tries.wait { $0 >= count }
                #expect(life.sender.ids() == [ids[0]] && life.pending(webhook) == 3)
                let sleepers = 3
                try await eventually { life.clock.sleepers > sleepers }
                life.clock.advance(milliseconds: AttemptRecorder.pause)
            }
            life.store.hook { $0.beforeRecord = nil }
            try await eventually {
                life.clock.advance(milliseconds: AttemptRecorder.pause)
                return life.pending(webhook) == 0
            }
            #expect(life.sender.ids() == ids)
            #expect(try await life.states(webhook).allSatisfy { $0 == .delivered })
        }
    }

    @Test("A store that can't be read holds deliveries up, and they keep their order")
    func brokenRead() async throws {
        try await WebhookBench.run { bench in
            bench.sender.behave { _ in try await .never }
            let ids = Watched<[String]>([])
            try await bench.live { life in
                let webhook = try await life.make()
                let made = try await life.tip(5)
                ids.change { $0 = made }
                try await eventually { life.pending(webhook) == 5 }
            }
            bench.sender.behave { _ in .answer(200) }
            let begun = bench.sender.attempts.value.count
            let failures = Watched(0)
            bench.store.hook { hooks in
                let fail: WebhookStoreDouble.Hook = {
                    if failures.change({
                        $0 += 1; return $0
                    }) % 2 == 1 {
                        throw BrokenStore()
                    }
                }
                hooks.beforeFirsts = fail
                hooks.beforeEvents = fail
            }
            try await bench.live { life in
                let webhook = try #require(life.engine.subscriptions.list { _ in true }.first)
                try await eventually {
                    life.clock.advance(milliseconds: 1_000)
                    return life.pending(webhook) == 0
                }
                #expect(Array(life.sender.ids().dropFirst(begun)) == ids.value)
                #expect(failures.value >= 3)
            }
        }
    }

    @Test("A shutdown gives attempts under way two seconds, and then cuts them off")
    func shutdown() async throws {
        try await WebhookBench.run { bench in
            let gate = Gate()
            bench.sender.behave { attempt in
                if attempt.callback.contains("hang") { return try await .never }
                try await gate.pass()
                return .answer(200)
            }
            let life = try await WebhookLife(bench, .init(), ResolverDouble("1.1.1.1"))
            let hanging = try await life.make("https://hang.example/")
            let slow = try await life.make("https://slow.example/")
            try await Self.shutDown(life) {
                try await life.tip(2)
                _ = try await life.sender.begun(2)
            } during: {
                gate.open()
                try await life.store.records.wait { $0.count == 1 }
                let sleepers = life.clock.sleepers
                life.clock.advance(milliseconds: WebhookEngine.drainLimit)
                #expect(sleepers > 0)
            }
            #expect(try await life.states(slow) == [.delivered, .first])
            #expect(try await life.states(hanging) == [.first, .first])
            #expect(life.sender.shutdowns.value == 1 && life.sender.ids().count == 2)
        }
    }

    @Test("A store that keeps nothing doesn't hold a shutdown up")
    func brokenShutdown() async throws {
        try await WebhookBench.run { bench in
            let tries = Watched(0)
            bench.store.hook { hooks in
                hooks.beforeRecord = {
                    tries.change { $0 += 1 }
                    throw BrokenStore()
                }
            }
            let life = try await WebhookLife(bench, .init(), ResolverDouble("1.1.1.1"))
            let webhook = try await life.make()
            try await Self.shutDown(life) {
                try await life.tip()
                try await tries.wait { $0 == 1 }
            } during: {
                // As long as it takes: the end of the time for attempts, and of the recorder's own pause.
                while life.sender.shutdowns.value == 0 {
                    life.clock.advance(milliseconds: 500)
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
            #expect(try await life.states(webhook) == [.first])
        }
    }

    /// Runs an engine, and shuts it down in good order.
    private static func shutDown(
        _ life: WebhookLife, after body: @Sendable () async throws -> Void, during: @Sendable () async throws -> Void
    ) async throws {
        let services = ServiceGroup(configuration: .init(services: [life.engine], logger: silence))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            try await body()
            await services.triggerGracefulShutdown()
            try await during()
            try await group.waitForAll()
        }
    }
}
