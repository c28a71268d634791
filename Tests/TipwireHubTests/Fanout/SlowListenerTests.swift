import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Slow listeners", .timeLimit(.minutes(1)))
struct SlowListenerTests {
    private struct House: Sendable {
        let hub: Hub
        let account: Account
        let page: Page

        init(_ hub: Hub) async throws {
            self.hub = hub
            account = try await hub.directory.makeAccount("olivia")
            page = try await hub.directory.makePage("page", of: account.id)
        }

        func listen(from start: Subscription.Start = .live, isWritable: Bool = true) async throws -> Listener {
            try await hub.listen(.page(page.id), as: principal(account), from: start, isWritable: isWritable)
        }

        /// Tips, and returns when everything was offered to everyone.
        func tip(_ count: Int) async throws {
            let witness = try await hub.listen(.page(page.id), as: principal(account, key: "witness"))
            let last = try await hub.tips(page, count).last!.lastSequence
            try await witness.received(through: last)
            try await witness.leave()
            await hub.settle()
        }

        func prune(_ count: Int) async throws {
            _ = try await hub.store.prune(
                olderThan: noon.advanced(milliseconds: 1), keepingBytes: 1 << 30, limit: count)
        }
    }

    @Test("Who takes nothing is written nothing, and gets all of it once when it takes again")
    func catchesUp() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let slow = try await house.listen()
            try await house.tip(2)
            try await slow.setWritable(false)
            try await house.tip(3)
            try await house.tip(3)
            #expect(slow.sequences == [1, 2])
            try await slow.setWritable(true)
            try await slow.received(through: 8)
            try await house.tip(1)
            try await slow.received(through: 9)
            #expect(slow.sequences == Array(1...9))
            #expect(slow.sink.heard.value.whileUnwritable == 0)
            #expect(try await slow.state() == .live(through: 9))
        }
    }

    @Test("A connection that is full after each write gets everything all the same, a piece at a time")
    func fullAfterEachWrite() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let slow = try await house.listen()
            try await slow.setWritable(false)
            try await house.tip(600)
            while slow.sequences.count < 600 {
                let before = slow.sequences.count
                try await slow.setWritable(true)
                slow.sink.heard.change { $0.writesUntilFull = 1 }
                try await slow.sink.heard.wait { $0.sequences.count > before && $0.isWritable == false }
            }
            #expect(slow.sequences == Array(1...600))
            #expect(slow.sink.heard.value.writes.map(\.count) == [256, 256, 88])
            #expect(slow.sink.heard.value.whileUnwritable == 0)
        }
    }

    @Test("What is committed while it reads the log is neither missed nor had twice")
    func splice() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            try await house.tip(3)
            let gate = Gate()
            hub.store.hook { $0.afterRead = { pages in if pages != .all { try await gate.pass() } } }
            let listener = try await house.listen(from: .position("\(hub.position.epoch)-1"))
            try await gate.arrived()
            // Read up to 3, its answer not yet there: 4 and 5 are offered and must wait.
            try await house.tip(2)
            #expect(listener.sequences == [])
            gate.open()
            try await listener.received(through: 5)
            try await house.tip(1)
            try await listener.received(through: 6)
            #expect(listener.sequences == Array(2...6))
        }
    }

    @Test("A stretch that was asked for is not written to a connection that takes nothing by the time it comes")
    func fullWhileReading() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            try await house.tip(3)
            let gate = Gate()
            hub.store.hook { $0.afterRead = { pages in if pages != .all { try await gate.pass() } } }
            let listener = try await house.listen(from: .position("\(hub.position.epoch)-0"))
            try await gate.arrived()
            try await listener.setWritable(false)
            gate.open()
            try await until { try await listener.state() != .behind(reading: 0) }
            #expect(listener.sequences == [])
            try await listener.setWritable(true)
            try await listener.received(through: 3)
            #expect(listener.sequences == [1, 2, 3])
        }
    }

    @Test("Who is further behind than the limit of bytes is cut and told so; the others are not")
    func lagBytes() async throws {
        try await withHub(.test(maxLagBytes: 3_000)) { hub in
            let house = try await House(hub)
            let slow = try await house.listen(isWritable: false)
            let quick = try await house.listen()
            try await house.tip(1)
            #expect(slow.sink.heard.value.end == nil)
            try await house.tip(20)
            #expect(try await slow.ended() == .slow("too slow: more than 3000 bytes behind"))
            try await quick.received(through: 21)
            #expect(quick.sequences == Array(1...21))
            #expect(slow.sequences == [])
            #expect(await hub.fanout.statistics().slowConsumersCut == 1)
            #expect(await hub.fanout.statistics().connections == 1)
        }
    }

    @Test("Statistics say who takes nothing, how far behind that is, and how long batches took from their commit")
    func statistics() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let slow = try await house.listen(isWritable: false)
            let quick = try await house.listen()
            try await house.tip(3)
            try await quick.received(through: 3)
            try await until { await hub.fanout.statistics().relayed == 3 }
            let statistics = await hub.fanout.statistics()
            let share = statistics.feed
            #expect(share.connections == 2 && share.stalled == 1 && share.catchingUp == 0)
            #expect(share.lagEvents == 3 && share.lagBytes > 0)
            #expect(statistics.sse.lagEvents == 0 && statistics.sse.stalled == 0)
            let batches = try #require(statistics.latency.buckets.last)
            #expect(batches >= 1 && batches <= 6 && statistics.latency.sum > 0)
            try await slow.setWritable(true)
            try await slow.received(through: 3)
            let after = await hub.fanout.statistics().feed
            #expect(after.stalled == 0 && after.lagEvents == 0 && after.lagBytes == 0)
        }
    }

    @Test("Who takes nothing for the limit of seconds is cut and told so; who lags for nothing is not")
    func stall() async throws {
        try await withHub(.test(maxLagSeconds: 0)) { hub in
            let house = try await House(hub)
            let other = try await hub.directory.makePage("other", of: house.account.id)
            let slow = try await house.listen(isWritable: false)
            // It takes nothing either, but nothing waits for it.
            let quiet = try await hub.listen(.page(other.id), as: principal(house.account), isWritable: false)
            try await house.tip(1)
            try await hub.tick()
            #expect(try await slow.ended() == .slow("too slow: nothing taken for 0 seconds"))
            #expect(quiet.sink.heard.value.end == nil)
            #expect(await hub.fanout.statistics().slowConsumersCut == 1)
        }
    }

    @Test("Who is behind when retention takes what it still had to get is cut and told so")
    func retention() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let slow = try await house.listen()
            try await house.tip(2)
            try await slow.setWritable(false)
            try await house.tip(3)
            try await house.prune(3)
            try await slow.setWritable(true)
            #expect(try await slow.ended() == .slow("too slow: the log no longer holds what is missing"))
            #expect(slow.sequences == [1, 2])
        }
    }

    @Test("Retention of what it has had already costs a slow listener nothing")
    func harmlessRetention() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            let slow = try await house.listen()
            try await house.tip(2)
            try await slow.setWritable(false)
            try await house.tip(3)
            try await house.prune(2)
            try await slow.setWritable(true)
            try await slow.received(through: 5)
            #expect(slow.sequences == Array(1...5))
        }
    }

    @Test("A read that failed is made again at the next tick, the word about the start included")
    func failedRead() async throws {
        try await withHub { hub in
            let house = try await House(hub)
            try await house.tip(3)
            hub.store.hook { $0.beforeRead = { _, pages in if pages != .all { throw BrokenStore() } } }
            let listener = try await house.listen(from: .position("\(hub.position.epoch)-1"))
            try await until { try await listener.state() == .behind(waiting: 1) }
            #expect(listener.sink.heard.value.resumptions == [])
            hub.store.hook { $0.beforeRead = nil }
            try await hub.tick()
            try await listener.received(through: 3)
            #expect(listener.sequences == [2, 3])
            #expect(listener.sink.heard.value.resumptions == [Resumption(status: .resumed, start: 1)])
        }
    }
}

extension Delivery.State {
    /// Behind, with a read of the log under way.
    fileprivate static func behind(reading through: Int64) -> Delivery.State {
        .behind(Delivery.Lag(through: through, bytes: 0, isReading: true, stalledSince: nil))
    }

    /// Behind, with no read under way.
    fileprivate static func behind(waiting through: Int64) -> Delivery.State {
        .behind(Delivery.Lag(through: through, bytes: 0, isReading: false, stalledSince: nil))
    }
}
