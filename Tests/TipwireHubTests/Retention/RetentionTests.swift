import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Retention", .timeLimit(.minutes(1)))
struct RetentionTests {
    /// A log, a clock and a position that nothing but retention moves.
    private struct House: Sendable {
        let store: StoreDouble
        let clock = TestClock()
        let position: LogPosition
        let metrics = HubMetrics()
        let page: Page

        init(_ store: StoreDouble) async throws {
            self.store = store
            let directory = try await TipwireHub.Directory(store: store)
            page = try await directory.makePage("page", of: directory.makeAccount("olivia").id)
            position = LogPosition(try await store.bounds())
        }

        func tip(_ count: Int) async throws {
            _ = try await store.commit(
                [.receive(page: page.id, drafts: (1...count).map { try draft($0) }, idempotencyKey: nil)],
                at: clock.wall.now())
        }

        func prune(days: Int = 90, bytes: Int64 = 1 << 30, byAge: Bool = true) async throws {
            try await Retention(
                store: store, position: position, clock: clock.wall, days: days, bytes: bytes,
                interval: .seconds(3_600), metrics: metrics, logger: silence
            ).prune(byAge: byAge)
        }
    }

    @Test("What is older than its days goes, to the millisecond, and the position knows; the tips stay")
    func age() async throws {
        try await withStore { store in
            let house = try await House(store)
            try await house.tip(3)
            house.clock.advance(milliseconds: 1)
            try await house.tip(2)
            house.clock.advance(milliseconds: 86_400_000 - 1)
            try await house.prune(days: 1)
            #expect(house.metrics.eventsPruned.value == 0)
            house.clock.advance(milliseconds: 1)
            try await house.prune(days: 1)
            #expect(house.position.bounds.prunedThrough == 3)
            #expect(house.metrics.eventsPruned.value == 3)
            #expect(try await store.tips(page: house.page.id, before: nil, limit: 10).count == 5)
        }
    }

    @Test("A log that is larger than its bytes loses its oldest, in as many turns as it takes")
    func size() async throws {
        try await withStore { store in
            let house = try await House(store)
            try await house.tip(Retention.pruneEvents + 10)
            try await house.tip(2)
            let statistics = try await store.logStatistics()
            try await house.prune(bytes: statistics.bytes)
            #expect(house.position.bounds.prunedThrough == 0)
            // Room for the last two, and not for three.
            try await house.prune(bytes: statistics.bytes / statistics.events * 5 / 2)
            #expect(house.position.bounds.prunedThrough == statistics.events - 2)
            #expect(house.metrics.eventsPruned.value == Int(statistics.events) - 2)
            #expect(try await store.logStatistics().events == 2)
        }
    }

    @Test("While the clock is not trusted nothing goes for its age, and what is too much goes all the same")
    func untrustedClock() async throws {
        try await withStore { store in
            let house = try await House(store)
            try await house.tip(4)
            house.clock.advance(milliseconds: 1_000 * 86_400_000)
            try await house.prune(days: 1, byAge: false)
            #expect(house.position.bounds.prunedThrough == 0)
            let statistics = try await store.logStatistics()
            try await house.prune(days: 1, bytes: statistics.bytes / 2, byAge: false)
            #expect(house.position.bounds.prunedThrough == 2)
        }
    }
}
