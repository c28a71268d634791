import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub
@testable import TipwireWebhooks

/// Two nodes, each with a sender of its own, on one store.
private struct Pair: Sendable {
    /// Sends.
    let first: WebhookLife
    /// Rests.
    let second: WebhookLife

    static func run(_ body: @Sendable (Pair) async throws -> Void) async throws {
        try await WebhookBench.run { bench in
            try await bench.live(node: SenderDouble()) { first in
                try await bench.live(node: SenderDouble()) { second in
                    let pair = Pair(first: first, second: second)
                    try await pair.hand(to: first)
                    try await body(pair)
                }
            }
        }
    }

    /// The sending is one node's, and it has begun.
    func hand(to life: WebhookLife) async throws {
        await life.engine.setSending(true)
        try await eventually { life.engine.isSending }
    }

    /// Commits tips on the second, of which the first hears.
    @discardableResult
    func tip(_ count: Int = 1) async throws -> [String] {
        let ids = try await second.tip(count)
        first.position.advance(to: second.position.bounds)
        first.wakeUp.signal()
        return ids
    }

    /// Makes a webhook where nobody sends, of which the sender hears.
    func make(_ callback: String = "https://hook.example/") async throws -> Webhook {
        let webhook = try await second.make(callback)
        try await first.engine.refresh()
        return webhook
    }

    /// Returns when none of a webhook's deliveries waits.
    func settled(_ webhook: Webhook) async throws {
        try await first.settled(webhook)
        #expect(try await first.store.backlog(of: webhook.number).pending == 0)
    }
}

@Suite("Webhooks of several nodes", .timeLimit(.minutes(1)))
struct SharingTests {
    @Test("One node sends, whichever took the tip; the others make nothing of the log, and attempt nothing")
    func one() async throws {
        try await Pair.run { pair in
            #expect(pair.first.engine.isSending && !pair.second.engine.isSending)
            let webhook = try await pair.make()
            let ids = try await pair.tip(5)
            try await pair.settled(webhook)
            #expect(pair.first.sender.ids() == ids && pair.second.sender.ids() == [])
            #expect(try await pair.first.states(webhook) == Array(repeating: .delivered, count: 5))
            // A look of its own at the log, and at what would be due.
            pair.second.clock.advance(milliseconds: WebhookDispatcher.pollInterval)
            #expect(pair.second.engine.activity.running == 0 && pair.second.sender.ids() == [])
        }
    }

    @Test("Handed over amid deliveries none is lost, and each that ended is one node's alone")
    func handover() async throws {
        try await Pair.run { pair in
            let gate = Gate()
            pair.first.sender.behave { attempt in
                if pair.first.sender.attempts.value.count > 10 { try await gate.pass() }
                return .answer(200)
            }
            let webhook = try await pair.make()
            var ids = try await pair.tip(30)
            _ = try await pair.first.sender.begun(11)
            await pair.first.engine.setSending(false)
            #expect(!pair.first.engine.isSending)
            ids += try await pair.tip(3)
            gate.open()
            try await eventually { pair.first.engine.activity.running == 0 }
            try await pair.hand(to: pair.second)
            try await pair.second.settled(webhook)
            #expect(pair.first.sender.ids() == Array(ids[...10]), "what was under way ended there, and nothing began")
            #expect(pair.second.sender.ids() == Array(ids[11...]))
            let deliveries = try await pair.first.deliveries(webhook)
            #expect(deliveries.count == 33 && deliveries.allSatisfy { $0.state == .delivered && $0.attempts == 1 })
        }
    }

    @Test("An attempt that doesn't end in time is cut off, and made by the next node with the same id")
    func cut() async throws {
        try await Pair.run { pair in
            pair.first.sender.behave { _ in try await .never }
            let webhook = try await pair.make()
            let ids = try await pair.tip()
            _ = try await pair.first.sender.begun(1)
            let sleepers = pair.first.clock.sleepers
            await pair.first.engine.setSending(false)
            try await eventually { pair.first.clock.sleepers > sleepers }
            #expect(pair.first.engine.activity.running == 1)
            pair.first.clock.advance(milliseconds: NodeTimes.handover)
            try await eventually { pair.first.engine.activity.running == 0 }
            try await pair.hand(to: pair.second)
            try await pair.second.settled(webhook)
            #expect(pair.second.sender.attempts.value.map(\.id) == ids)
            #expect(pair.second.sender.attempts.value.map(\.number) == [1], "it was never counted")
        }
    }

    @Test("A node that gets the sending back goes on where the other one left it")
    func back() async throws {
        try await Pair.run { pair in
            let webhook = try await pair.make()
            try await pair.tip(2)
            try await pair.settled(webhook)
            await pair.first.engine.setSending(false)
            try await pair.hand(to: pair.second)
            pair.second.sender.behave { _ in .answer(500) }
            let ids = try await pair.tip(2)
            _ = try await pair.second.sender.begun(2)
            try await eventually { pair.second.engine.activity.running == 0 }
            await pair.second.engine.setSending(false)
            try await pair.hand(to: pair.first)
            // As it is now, and not as it was made: a node may send already, and have no endpoint yet to ask.
            let known = try #require(pair.first.engine.subscriptions[webhook.id])
            #expect(pair.first.engine.standing(of: known).failingSince != nil)
            pair.first.clock.advance(milliseconds: 600_000)
            try await pair.settled(webhook)
            #expect(Set(pair.first.sender.ids().dropFirst(2)) == Set(ids))
            #expect(pair.first.sender.attempts.value.suffix(2).map(\.number) == [2, 2])
        }
    }

    @Test("A node that loses its part while it reads what from doesn't begin")
    func lostAtTheBeginning() async throws {
        try await WebhookBench.run { bench in
            try await bench.live(node: SenderDouble()) { life in
                let webhook = try await life.make()
                for _ in 0..<20 {
                    await life.engine.setSending(true)
                    await life.engine.setSending(false)
                }
                try await life.engine.refresh()
                #expect(!life.engine.isSending)
                try await life.tip()
                try await life.engine.refresh()
                #expect(life.sender.ids() == [] && life.engine.standing(of: webhook).pending == 0)
            }
        }
    }

    // MARK: Changes

    @Test("A webhook that is switched off on a node that rests gets nothing more, and later what it missed")
    func switched() async throws {
        try await Pair.run { pair in
            let webhook = try await pair.make()
            let other = try await pair.make("https://other.example/")
            var ids = try await pair.tip(3)
            try await pair.settled(webhook)
            try await pair.second.engine.subscriptions.disable(webhook)
            try await pair.first.engine.refresh()
            #expect(pair.first.now(webhook)?.disabled == .owner)
            ids += try await pair.tip(2)
            try await pair.settled(other)
            #expect(pair.first.sender.ids(to: webhook.callback).count == 3)
            // Where it stands only the sender has known.
            #expect(try await pair.second.engine.subscriptions.enable(webhook, key: nil)?.isEnabled == true)
            try await pair.first.engine.refresh()
            try await eventually { pair.first.sender.ids(to: webhook.callback).count == 5 }
            try await pair.settled(webhook)
            #expect(pair.first.sender.ids(to: webhook.callback) == ids)
        }
    }

    @Test("What another node was asked before an event was taken holds for the event, though no news of it has come")
    func untold() async throws {
        try await Pair.run { pair in
            let disabled = try await pair.make()
            let deleted = try await pair.make("https://deleted.example/")
            let rotated = try await pair.make("https://rotated.example/")
            let secret = WebhookSecret.random()
            try await pair.second.engine.subscriptions.disable(disabled)
            try await pair.second.engine.subscriptions.delete(deleted)
            _ = try await pair.second.engine.subscriptions.rotate(rotated, to: secret)
            #expect(pair.first.now(disabled)?.isEnabled == true && pair.first.now(deleted) != nil)
            pair.first.store.hook { $0.isOutdated = true }
            let ids = try await pair.tip(2)
            try await pair.settled(rotated)
            #expect(pair.first.sender.ids() == ids)
            #expect(pair.first.sender.attempts.value.map(\.secrets.first) == [secret, secret])
            #expect(pair.first.pending(disabled) == 0 && pair.first.now(deleted) == nil)
            _ = try await pair.second.engine.subscriptions.enable(disabled, key: nil)
            try await pair.first.engine.refresh()
            try await eventually { pair.first.sender.ids(to: disabled.callback).count == 2 }
            try await pair.settled(disabled)
            #expect(pair.first.sender.ids(to: disabled.callback) == ids)
        }
    }

    @Test("Where that can't be read, or not all of it, the event waits until it can")
    func untoldAndUnreadable() async throws {
        try await Pair.run { pair in
            let webhook = try await pair.make()
            let other = try await pair.make("https://other.example/")
            try await pair.second.engine.subscriptions.disable(webhook)
            let tries = Watched(0)
            pair.first.store.hook { hooks in
                hooks.isOutdated = true
                hooks.beforeAsked = {
                    tries.change { $0 += 1 }
                    throw BrokenStore()
                }
            }
            let ids = try await pair.tip(2)
            for count in 1...3 {
                try await tries.wait { $0 >= count }
                pair.first.wakeUp.signal()
            }
            #expect(pair.first.sender.ids() == [])
            pair.first.store.hook { $0.beforeAsked = nil }
            pair.first.wakeUp.signal()
            try await pair.settled(other)
            #expect(pair.first.sender.ids() == ids && pair.first.sender.ids(to: webhook.callback) == [])
        }
    }

    @Test("A change is made of what the store has, however old what its node knows")
    func stale() async throws {
        try await Pair.run { pair in
            let webhook = try await pair.make()
            // The second hears nothing of it.
            try await pair.first.engine.subscriptions.disable(webhook)
            #expect(pair.second.now(webhook)?.isEnabled == true)
            #expect(try await pair.second.engine.subscriptions.enable(webhook, key: nil)?.isEnabled == true)
            let stored = try await pair.first.store.webhooks().webhooks[0].webhook
            #expect(stored.disabled == nil)
        }
    }

    @Test("Secrets that are rotated on both nodes all hold, and the sender signs with them")
    func rotated() async throws {
        try await Pair.run { pair in
            let webhook = try await pair.make()
            let secrets = [WebhookSecret.random(), .random()]
            _ = try await pair.first.engine.subscriptions.rotate(webhook, to: secrets[0])
            _ = try await pair.second.engine.subscriptions.rotate(webhook, to: secrets[1])
            try await pair.first.engine.refresh()
            try await pair.tip()
            try await pair.settled(webhook)
            let signed = pair.first.sender.attempts.value[0].secrets
            #expect(signed == [secrets[1], secrets[0], webhook.secrets.current])
        }
    }

    @Test("What is asked for on a node that rests is sent at once, and ends the pause of an endpoint that failed")
    func asked() async throws {
        try await Pair.run { pair in
            pair.first.sender.behave { _ in .answer(500) }
            let webhook = try await pair.make()
            let ids = try await pair.tip(5)
            _ = try await pair.first.sender.begun(5)
            try await eventually { pair.first.engine.standing(of: webhook).pausedUntil != nil }
            try await eventually { pair.first.engine.activity.running == 0 }
            pair.first.sender.behave { _ in .answer(200) }
            let test = try #require(try await pair.second.engine.test(webhook))
            try await pair.first.engine.refresh()
            #expect(try await pair.first.sender.begun(6)[5].id.hasPrefix("test-"))
            try await eventually { try await pair.first.store.delivery(test)?.state == .delivered }
            pair.first.clock.advance(milliseconds: 1)
            let last = try #require(try await pair.second.engine.delivery(ids[4], of: webhook))
            #expect(try await pair.second.engine.retry(last))
            try await pair.first.engine.refresh()
            try await eventually { try await pair.first.store.delivery(last)?.state == .delivered }
            #expect(pair.second.sender.ids() == [])
        }
    }

    @Test("A test that is made on another node amid a stretch of the log isn't passed over")
    func testAmidDeliveries() async throws {
        try await Pair.run { pair in
            let gate = Gate()
            let webhook = try await pair.make()
            pair.first.store.hook { hooks in hooks.beforeDispatch = { try await gate.pass() } }
            let ids = try await pair.tip(2)
            try await gate.arrived()
            // It has its place ahead of the two, which are held in memory when the sender hears of it.
            let test = try #require(try await pair.second.engine.test(webhook))
            gate.open()
            try await eventually { pair.first.sender.ids() == ids }
            try await pair.first.engine.refresh()
            try await eventually { try await pair.first.store.delivery(test)?.state == .delivered }
            #expect(pair.first.sender.ids().count == 3)
        }
    }

    @Test("A webhook that is deleted on another node is gone, with its place among those that there may be")
    func deleted() async throws {
        try await Pair.run { pair in
            let gate = pair.first.sender.hold()
            let webhook = try await pair.make()
            let other = try await pair.make("https://other.example/")
            try await pair.tip(3)
            _ = try await pair.first.sender.begun(2)
            try await pair.second.engine.subscriptions.delete(webhook)
            try await pair.first.engine.refresh()
            #expect(pair.first.now(webhook) == nil && pair.first.pending(webhook) == 0)
            gate.open()
            try await pair.settled(other)
            #expect(pair.first.sender.ids(to: webhook.callback).count == 1)
            #expect(pair.first.engine.subscriptions.list { _ in true }.map(\.id) == [other.id])
        }
    }

    @Test("What waits is shown on a node that rests, as old as a second")
    func shown() async throws {
        try await Pair.run { pair in
            pair.first.sender.behave { _ in .answer(500) }
            let webhook = try await pair.make()
            try await pair.tip()
            _ = try await pair.first.sender.begun(1)
            try await eventually { pair.first.engine.standing(of: webhook).nextRetry != nil }
            pair.second.clock.advance(milliseconds: 1_000)
            await pair.second.engine.look()
            let standing = pair.second.engine.standing(of: try #require(pair.second.now(webhook)))
            #expect(standing.pending == 1 && standing.failingSince != nil)
            #expect(standing.lastFailure == nil && standing.pausedUntil == nil && standing.nextRetry == nil)
        }
    }

    // MARK: Faults

    @Test("When the log is another one, nothing of what was under way goes on, and all begins with what the store has")
    func logReplaced() async throws {
        try await Pair.run { pair in
            pair.first.sender.behave { _ in try await .never }
            let webhook = try await pair.make()
            let ids = try await pair.tip(2)
            _ = try await pair.first.sender.begun(1)
            pair.first.sender.behave { _ in .answer(200) }
            let bounds = LogBounds(epoch: PublicID.epoch(), head: 2, prunedThrough: 0)
            for life in [pair.first, pair.second] {
                life.position.replace(with: bounds)
                await life.engine.logReplaced(bounds)
            }
            #expect(!pair.second.engine.isSending)
            try await eventually { pair.first.engine.isSending }
            try await pair.settled(webhook)
            let anew = (1...2).map { Cursor(epoch: bounds.epoch, sequence: $0).description }
            #expect(pair.first.sender.attempts.value.map(\.id) == [ids[0]] + anew)
            #expect(pair.first.sender.attempts.value.map(\.number) == [1, 1, 1] && pair.second.sender.ids() == [])
        }
    }

    @Test("A store that gives the sending to another node keeps nothing of this one, and loses nothing")
    func refused() async throws {
        try await Pair.run { pair in
            let webhook = try await pair.make()
            let refusals = Watched(0)
            pair.first.store.hook { hooks in
                hooks.beforeDispatch = {
                    refusals.change { $0 += 1 }
                    throw SendingElsewhere()
                }
            }
            let ids = try await pair.tip(2)
            try await refusals.wait { $0 > 0 }
            await pair.first.engine.setSending(false)
            pair.first.store.hook { $0.beforeDispatch = nil }
            #expect(try await pair.first.states(webhook) == [] && pair.first.pending(webhook) == 0)
            try await pair.hand(to: pair.second)
            try await pair.second.settled(webhook)
            #expect(pair.first.sender.ids() == [] && pair.second.sender.ids() == ids)
        }
    }

    @Test("A store that can't be read when the sending comes to a node is asked again")
    func unreadable() async throws {
        try await WebhookBench.run { bench in
            try await bench.live(node: SenderDouble()) { life in
                let webhook = try await life.make()
                let tries = Watched(0)
                bench.store.hook { hooks in
                    hooks.beforeWebhooks = {
                        tries.change { $0 += 1 }
                        throw BrokenStore()
                    }
                }
                await life.engine.setSending(true)
                let ids = try await life.tip()
                try await tries.wait { $0 > 0 }
                #expect(!life.engine.isSending)
                bench.store.hook { $0.beforeWebhooks = nil }
                try await eventually {
                    life.clock.advance(milliseconds: 1_000)
                    return life.engine.isSending
                }
                try await life.settled(webhook)
                #expect(life.sender.ids() == ids)
            }
        }
    }
}
