import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Recent events", .timeLimit(.minutes(1)))
struct RecentEventsTests {
    private func withPage(
        recentEvents: Int, _ body: @Sendable (Hub, Page, Principal) async throws -> Void
    ) async throws {
        try await withHub(.test(recentEvents: recentEvents)) { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            try await body(hub, page, principal(account))
        }
    }

    private func position(_ hub: Hub, _ sequence: Int64) -> Subscription.Start {
        .position("\(hub.position.epoch)-\(sequence)")
    }

    /// Returns when all of the log has been fanned out.
    private func fannedOut(_ hub: Hub) async throws {
        while await hub.fanout.statistics().relayed < hub.position.bounds.head {}
    }

    @Test("Who has missed no more than the last events gets them at once, the same bytes, without a read of the log")
    func recalled() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            let live = try await hub.listen(.page(page.id), as: principal)
            try await hub.tips(page, 10)
            try await live.received(through: 10)
            try await fannedOut(hub)
            for loop in 0...1 {
                let head = 10 + Int64(loop)
                let back = try await hub.listen(.page(page.id), as: principal, from: position(hub, 4), loop: loop)
                #expect(try await back.begun() == Resumption(status: .resumed, start: 4))
                #expect(back.sequences == Array(5...head))
                #expect(back.sink.heard.value.frames == Array(live.sink.heard.value.frames[4...]))
                #expect(back.sink.heard.value.eventsBeforeResumption == 0)
                try await hub.tip(page)
                for listener in [live, back] { try await listener.received(through: head + 1) }
                #expect(back.sequences == Array(5...head + 1))
                try await fannedOut(hub)
            }
            #expect(hub.metrics.catchUpReads.value == 0)
        }
    }

    @Test("Who has missed more than is at hand reads the log, to the event")
    func boundary() async throws {
        try await withPage(recentEvents: 4) { hub, page, principal in
            for _ in 1...10 { try await hub.tip(page) }
            try await fannedOut(hub)
            for (after, reads) in [(Int64(6), 0), (5, 1), (9, 1), (10, 1), (0, 2)] {
                let back = try await hub.listen(.page(page.id), as: principal, from: position(hub, after))
                if after < 10 { try await back.received(through: 10) }
                #expect(back.sequences == (after < 10 ? Array(after + 1...10) : []))
                #expect(hub.metrics.catchUpReads.value == reads, "after \(after)")
            }
        }
    }

    @Test("Only what is its audience's is recalled")
    func audience() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            let other = try await hub.directory.makePage("other", of: page.owner)
            let stranger = try await hub.directory.makeAccount("petra")
            let foreign = try await hub.directory.makePage("foreign", of: stranger.id)
            for page in [page, other, foreign, page] { try await hub.tip(page) }
            try await fannedOut(hub)
            let audiences: [(Audience, [Int64])] = [
                (.page(page.id), [1, 4]), (.owner(page.owner, limit: nil), [1, 2, 4]),
                (.owner(page.owner, limit: [other.id]), [2]), (.owner(stranger.id, limit: nil), [3]),
            ]
            for (audience, sequences) in audiences {
                let back = try await hub.listen(audience, as: principal, from: position(hub, 0))
                #expect(try await back.begun()?.status == .resumed)
                #expect(back.sequences == sequences)
            }
            #expect(hub.metrics.catchUpReads.value == 0)
        }
    }

    @Test("Events of a page that has been deleted are recalled for nobody, and those of a changed one as it is now")
    func changedPages() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            let gone = try await hub.directory.makePage("gone", of: page.owner)
            for page in [page, gone, page] { try await hub.tip(page) }
            try await fannedOut(hub)
            try await hub.directory.deletePage(gone.id)
            let everything = Audience.owner(page.owner, limit: nil)
            let back = try await hub.listen(everything, as: principal, from: position(hub, 0))
            #expect(try await back.begun()?.status == .resumed)
            #expect(back.sequences == [1, 3])
            #expect(hub.metrics.catchUpReads.value == 0)
            _ = try await hub.directory.updatePage(page.id) { $0.title = "Renamed" }
            let late = try await hub.listen(everything, as: principal, from: position(hub, 0))
            try await late.received(through: 3)
            #expect(late.sequences == [1, 3])
            #expect(hub.metrics.catchUpReads.value == 1)
        }
    }

    @Test("What retention has removed is recalled for nobody: who asks for it is told of the gap")
    func pruned() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            for _ in 1...5 { try await hub.tip(page) }
            try await fannedOut(hub)
            _ = try await hub.store.prune(
                olderThan: noon.advanced(milliseconds: 1_000_000), keepingBytes: 1 << 30, limit: 3)
            hub.position.saw(try await hub.store.bounds())
            let prunedThrough = hub.position.bounds.prunedThrough
            #expect(prunedThrough == 3)
            let back = try await hub.listen(.page(page.id), as: principal, from: position(hub, 1))
            #expect(try await back.begun() == Resumption(status: .gap, start: 3))
            try await back.received(through: 5)
            #expect(back.sequences == [4, 5])
        }
    }

    @Test("Of a log that another one has taken the place of nothing is recalled")
    func replaced() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            for _ in 1...5 { try await hub.tip(page) }
            try await fannedOut(hub)
            let old = position(hub, 2)
            let witness = try await hub.listen(.page(page.id), as: principal)
            hub.store.hook { $0.epoch = "other" }
            hub.position.replace(with: LogBounds(epoch: "other", head: 5, prunedThrough: 0))
            hub.wakeUp.signal()
            try await until { witness.sink.heard.value.end != nil }
            let back = try await hub.listen(.page(page.id), as: principal, from: old)
            #expect(try await back.begun()?.status == .reset)
            #expect(back.sequences == [])
        }
    }

    @Test("What was read of a log that another one has taken the place of meanwhile is told to nobody")
    func replacedWhileReading() async throws {
        try await withPage(recentEvents: 0) { hub, page, principal in
            for _ in 1...5 { try await hub.tip(page) }
            try await fannedOut(hub)
            let gate = Gate()
            hub.store.hook { $0.afterRead = { pages in if pages != .all { try await gate.pass() } } }
            let back = try await hub.listen(.page(page.id), as: principal, from: position(hub, 2))
            try await gate.arrived()
            hub.store.hook { $0.epoch = "other" }
            hub.position.replace(with: LogBounds(epoch: "other", head: 3, prunedThrough: 0))
            gate.open()
            // It is read once more.
            while gate.arrivals < 2 { try await hub.tick() }
            #expect(try await back.begun()?.status == .reset)
            #expect(back.sequences == [] && back.sink.heard.value.epoch == "other")
        }
    }

    @Test("Who subscribes in the middle of a fan-out, behind its batch, gets the batch")
    func amidFanout() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            let first = try await hub.listen(.page(page.id), as: principal)
            let (second, kept) = (ListenerDouble(), Watched<NIOLoopBound<Subscriber>?>(nil))
            first.sink.onWrite.change { onWrite in
                onWrite = {
                    guard kept.value == nil else { return }
                    let shard = hub.fanout.shard(on: eventLoops[0])
                    let subscriber = shard.subscribe(
                        Subscription(
                            dialect: .pally, audience: .page(page.id), principal: principal, start: .after(0),
                            remoteAddress: "192.0.2.1", connectedAt: noon), sink: second)
                    let bound = NIOLoopBound(subscriber, eventLoop: eventLoops[0])
                    kept.change { $0 = bound }
                    shard.start(subscriber)
                }
            }
            try await hub.tip(page)
            try await second.heard.wait { $0.sequences.last == 1 }
            try await hub.tip(page)
            try await second.heard.wait { $0.sequences.last == 2 }
            #expect(second.heard.value.sequences == [1, 2])
        }
    }

    @Test("Before it is known that the log was replaced nothing of the old one is recalled")
    func replacedUnseen() async throws {
        try await withPage(recentEvents: 256) { hub, page, principal in
            for _ in 1...5 { try await hub.tip(page) }
            try await fannedOut(hub)
            // Nobody has told the relay.
            hub.position.replace(with: LogBounds(epoch: "other", head: 3, prunedThrough: 0))
            let gate = Gate()
            hub.store.hook { $0.beforeRead = { _, pages in if pages != .all { try await gate.pass() } } }
            let back = try await hub.listen(.page(page.id), as: principal, from: .after(2))
            try await gate.arrived()
            #expect(back.sequences == [])
            gate.open()
        }
    }
}
