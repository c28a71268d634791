import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("Deliveries that fail", .timeLimit(.minutes(1)))
struct RetryingTests {
    private static let hour: Int64 = 3_600_000

    @Test("An endpoint that answers 500 is tried ten times in 76 hours, with one id and body, and then not again")
    func schedule() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(500, "no") }
            let webhook = try await life.make()
            let ids = try await life.tip()
            var times = [try await life.sender.begun(1)[0].began]
            for attempt in 2...10 {
                try await life.reachNextRetry(webhook, after: times[attempt - 2])
                times.append(try await life.sender.begun(attempt)[attempt - 1].began)
            }
            for (index, wait) in RetrySchedule.standard.waits.enumerated() {
                let passed = times[index + 1].milliseconds - times[index].milliseconds
                #expect((wait...wait + wait / 5).contains(passed), "attempt \(index + 2) after \(passed) ms")
            }
            try await life.settled(webhook)
            let attempts = life.sender.attempts.value
            #expect(attempts.map(\.number) == Array(1...10))
            #expect(Set(attempts.map(\.id)) == Set(ids) && Set(attempts.map(\.body)).count == 1)
            let delivery = try #require(try await life.deliveries(webhook).first)
            #expect(delivery.state == .dead(.attemptsExhausted) && delivery.attempts == 10)
            let log = try await life.store.attempts(of: delivery.id)
            #expect(log.map(\.began) == times && log.allSatisfy { $0.status == 500 && $0.answer == "no" })
            life.clock.advance(milliseconds: 100 * Self.hour)
            life.sender.behave { _ in .answer(200) }
            try await life.tip()
            #expect(try await life.sender.begun(11).count == 11)
        }
    }

    @Test("A failing event holds up no later one")
    func beside() async throws {
        try await withWebhooks { life in
            let bad = Watched("")
            life.sender.behave { attempt in .answer(attempt.id == bad.value ? 500 : 200) }
            let webhook = try await life.make()
            try await life.tip()
            try await life.settled(webhook)
            let next = Cursor(epoch: life.position.epoch, sequence: life.position.bounds.head + 1).description
            bad.change { $0 = next }
            let ids = try await life.tip(20)
            try await life.dispatched()
            try await eventually { life.pending(webhook) == 1 }
            #expect(Array(life.sender.ids().dropFirst()) == ids)
            bad.change { $0 = "" }
            life.clock.advance(milliseconds: 6_000)
            try await life.settled(webhook)
            #expect(life.sender.attempts.value.last?.id == next && life.sender.attempts.value.last?.number == 2)
        }
    }

    @Test("One that was read before the attempt that put it off isn't attempted too early")
    func readTooEarly() async throws {
        try await WebhookBench.run { bench in
            try await bench.leaveRetry()
            bench.sender.behave { _ in .answer(200) }
            let now = bench.clock.now()
            let reads = Watched(0)
            bench.store.hook { hooks in
                hooks.retries = { _ in
                    reads.change { $0 += 1 }
                    return now
                }
            }
            try await bench.live { life in
                let webhook = try #require(life.engine.subscriptions.list { _ in true }.first)
                try await reads.wait { $0 == 1 }
                // Given back with the time that its row has, or attempted.
                try await eventually {
                    life.engine.activity.running == 0 && life.engine.standing(of: webhook).nextRetry != now
                }
                life.clock.advance(milliseconds: 6_000)
                try await life.settled(webhook)
                let times = life.sender.attempts.value.map(\.began.milliseconds)
                #expect(times.count == 2 && times[1] - times[0] >= 5_000)
            }
        }
    }

    @Test("Retry-After puts the next attempt off")
    func retryAfter() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(503, retryAfter: .seconds(7_200)) }
            let webhook = try await life.make()
            try await life.tip()
            let began = try await life.sender.begun(1)[0].began
            try await life.reachNextRetry(webhook, after: began)
            let again = try await life.sender.begun(2)[1].began
            #expect((2 * Self.hour...2 * Self.hour * 6 / 5).contains(again.milliseconds - began.milliseconds))
        }
    }

    @Test("410 disables at once, keeps what waits, and goes on with it when it is enabled again")
    func gone() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(410) }
            let webhook = try await life.make()
            try await life.tip(3)
            try await eventually { life.now(webhook)?.disabled == .gone }
            #expect(life.sender.ids().count == 1 && life.pending(webhook) == 3)
            #expect(try await life.store.webhooks().webhooks[0].webhook.disabled == .gone)
            try await life.tip()
            life.clock.advance(milliseconds: Self.hour)
            #expect(life.sender.ids().count == 1)
            life.sender.behave { _ in .answer(200) }
            let enabled = try await life.engine.subscriptions.enable(webhook, key: nil)
            #expect(enabled?.isEnabled == true && life.engine.standing(of: webhook).failingSince == nil)
            _ = try await life.sender.begun(5)
            try await life.settled(webhook)
        }
    }

    @Test("An endpoint that has only failed for five days is disabled, and says since when")
    func hopeless() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(500) }
            let webhook = try await life.make()
            try await life.tip(EndpointHealth.leastFailures)
            let first = try await life.sender.begun(EndpointHealth.leastFailures)[0].began
            func isCalm() -> Bool {
                life.engine.activity.running == 0 && life.engine.standing(of: webhook).pausedUntil != nil
            }
            try await eventually { isCalm() }
            #expect(life.engine.standing(of: webhook).failingSince == first)
            life.clock.advance(milliseconds: EndpointHealth.patience - 1)
            _ = try await life.sender.begun(EndpointHealth.leastFailures + 1)
            try await eventually { isCalm() }
            #expect(life.now(webhook)?.isEnabled == true)
            life.clock.advance(milliseconds: Self.hour)
            try await eventually { life.now(webhook)?.disabled == .hopeless }
            let disabled = try #require(life.now(webhook))
            #expect(life.engine.standing(of: disabled).failingSince == first)
            #expect(try await life.store.webhooks().webhooks[0].webhook.disabled == .hopeless)
        }
    }

    @Test("One success in five days is enough")
    func notHopeless() async throws {
        try await withWebhooks { life in
            life.sender.behave { _ in .answer(500) }
            let webhook = try await life.make()
            try await life.tip()
            try await eventually { life.engine.standing(of: webhook).nextRetry != nil }
            life.sender.behave { _ in .answer(200) }
            life.clock.advance(milliseconds: 6_000)
            try await life.settled(webhook)
            #expect(life.engine.standing(of: webhook).failingSince == nil)
            life.sender.behave { _ in .answer(500) }
            life.clock.advance(milliseconds: EndpointHealth.patience)
            try await life.tip()
            try await eventually { life.engine.standing(of: webhook).nextRetry != nil }
            #expect(life.now(webhook)?.isEnabled == true)
        }
    }

    @Test("What leads where it may not is a dead letter after one attempt, and the next is sent all the same")
    func refused() async throws {
        try await withWebhooks { life in
            let refusal = AddressRefusal(host: "a", address: IPAddress(ipv4: 0x0A00_0001), rule: .privateUse)
            life.sender.behave { _ in AttemptReport(outcome: .refusedAddress(refusal), duration: .zero) }
            let webhook = try await life.make()
            try await life.tip()
            try await life.settled(webhook)
            let delivery = try #require(try await life.deliveries(webhook).first)
            #expect(delivery.state == .dead(.refused) && delivery.last?.outcome == refusal.description)
            life.sender.behave { _ in .answer(200) }
            try await life.tip()
            try await life.settled(webhook)
            #expect(try await life.states(webhook) == [.dead(.refused), .delivered])
        }
    }

    @Test("A callback that today's settings refuse isn't sent to")
    func refusedByToday() async throws {
        try await WebhookBench.run { bench in
            var settings = WebhookEngine.Settings()
            settings.policy = CallbackPolicy(allowsHTTP: true)
            try await bench.live(settings) { life in _ = try await life.make("http://hook.example/") }
            try await bench.live { life in
                let webhook = try #require(life.engine.subscriptions.list { _ in true }.first)
                try await life.tip()
                try await eventually { try await life.states(webhook) == [.dead(.refused)] }
                #expect(life.sender.ids() == [])
            }
        }
    }

    @Test("What retention has removed is a dead letter that isn't attempted again")
    func expired() async throws {
        try await WebhookBench.run { bench in
            try await bench.leaveRetry()
            let horizon = bench.clock.now().advanced(milliseconds: 1)
            _ = try await bench.store.prune(olderThan: horizon, keepingBytes: .max, limit: 100)
            bench.clock.advance(milliseconds: 6_000)
            try await bench.live { life in
                let webhook = try #require(life.engine.subscriptions.list { _ in true }.first)
                try await life.settled(webhook)
                #expect(try await life.states(webhook) == [.dead(.expired)] && life.sender.ids().count == 1)
                #expect(life.engine.metrics.deadLettersByReason.first { $0.reason == .expired }?.count == 1)
            }
        }
    }

    @Test("Ten endpoints of a hundred hang for ever, and the other ninety get everything")
    func hanging() async throws {
        try await withWebhooks {
            $0.maxAttempts = 30
        } _: { life in
            life.sender.behave { attempt in
                attempt.callback.contains("//hang") ? try await .never : .answer(200)
            }
            var good: [Webhook] = []
            for number in 0..<100 {
                let name = number % 10 == 3 ? "hang" : "good"
                let webhook = try await life.make("https://\(name)\(number).example/")
                if name == "good" { good.append(webhook) }
            }
            var ids: [String] = []
            for _ in 0..<5 { ids += try await life.tip(4) }
            for webhook in good { try await life.settled(webhook) }
            try await eventually { life.sender.attempts.value.count >= 90 * 20 + 10 }
            for webhook in good { #expect(life.sender.ids(to: webhook.callback) == ids) }
            #expect(life.sender.attempts.value.count == 90 * 20 + 10 && life.engine.activity.running == 10)
        }
    }
}
