import Foundation
import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwirePostgres

/// What nodes on one database know of each other.
@Suite("Nodes on PostgreSQL", .enabled(if: PostgresServer.given != nil), .timeLimit(.minutes(2)))
struct NodeStoreTests {
    private let server = PostgresServer.given!

    /// Two nodes on a new database.
    private func withNodes(_ body: (PostgresStore, PostgresStore, String) async throws -> Void) async throws {
        let name = "nodes-\(UUID().uuidString.lowercased())"
        let url = try server.database(name)
        let (a, b) = (try await PostgresStore.open(url), try await PostgresStore.open(url))
        try await body(a, b, name)
        for store in [a, b] { try await store.close() }
    }

    private func report(_ name: String) -> NodeReport {
        NodeReport(name: name, version: "1", url: "http://\(name).test", startedAt: .seconds(1))
    }

    /// Reads news until they are as wanted; the suite's time limit ends what never comes.
    private func wait(for news: AsyncStream<StoreNews>, until isWanted: (StoreNews) -> Bool) async -> StoreNews? {
        await news.first(where: isWanted)
    }

    @Test func `nodes that beat are listed with what they tell, and gone when they leave`() async throws {
        try await withNodes { a, b, _ in
            var told = report("a")
            (told.feed, told.sse, told.eventsub, told.overlay, told.relayed) = (1, 2, 3, 4, 0)
            #expect(try await a.beat(told).isNew)
            #expect(try await !a.beat(told).isNew)
            #expect(try await b.beat(report("b")).isNew)
            let scene = try await Scene(a)
            try await scene.receive([draft(), draft()])
            // What has come since a node told of itself says nothing of it.
            #expect(try await b.nodes().map(\.lag) == [0, 0])
            told.relayed = 1
            _ = try await a.beat(told)
            _ = try await b.beat(report("b"))
            let nodes = try await b.nodes()
            #expect(nodes.map(\.id) == [a.node, b.node] && nodes.map(\.report) == [told, report("b")])
            #expect(nodes.map(\.lag) == [1, 2] && nodes.allSatisfy { $0.silence < 5_000 })
            try await a.leave()
            #expect(try await b.nodes().map(\.id) == [b.node])
        }
    }

    @Test func `a node that is silent for too long is forgotten, and told so when it comes back`() async throws {
        try await withNodes { a, b, name in
            _ = try await a.beat(report("a"))
            try server.run(name, "UPDATE tipwire.nodes SET seen_at = seen_at - \(NodeTimes.dead - 2_000)")
            _ = try await b.beat(report("b"))
            #expect(try await b.nodes().count == 2)
            try server.run(name, "UPDATE tipwire.nodes SET seen_at = seen_at - 2000 WHERE id = '\(a.node.text)'")
            _ = try await b.beat(report("b"))
            #expect(try await b.nodes().map(\.id) == [b.node])
            #expect(try await a.beat(report("a")).isNew)
        }
    }

    @Test func `webhooks are sent by one node, until it leaves or its lease runs out`() async throws {
        try await withNodes { a, b, name in
            #expect(try await a.beat(report("a")).isSender)
            #expect(try await !b.beat(report("b")).isSender)
            #expect(try await a.beat(report("a")).isSender)
            #expect(try await a.nodes().map(\.isSender) == [true, false])
            try await a.leave()
            #expect(try await b.beat(report("b")).isSender)
            // Taken for dead, it may still be at it.
            try server.run(name, "DELETE FROM tipwire.nodes")
            #expect(try await !a.beat(report("a")).isSender)
            try server.run(name, "UPDATE tipwire.leases SET until = 0")
            #expect(try await a.beat(report("a")).isSender)
            // Whoever is about to end keeps it as long as it is there, and takes it no more when it isn't its own.
            var leaving = report("a")
            leaving.isDraining = true
            func shorten() throws {
                try server.run(name, "UPDATE tipwire.leases SET until = until - \(NodeTimes.sendingLease / 2)")
            }
            for _ in 1...3 {
                try shorten()
                #expect(try await a.beat(leaving).isSender)
            }
            #expect(try await !b.beat(report("b")).isSender)
            try server.run(name, "UPDATE tipwire.leases SET until = 0")
            #expect(try await !a.beat(leaving).isSender)
            #expect(try await b.beat(report("b")).isSender)
        }
    }

    @Test func `what one node changes is news to the others at once, and none to itself`() async throws {
        try await withNodes { a, b, name in
            let (newsOfA, newsOfB) = (a.listen(), b.listen())
            for (store, news) in [(a, newsOfA), (b, newsOfB)] {
                _ = try await store.beat(report("x"))
                #expect(await wait(for: news) { _ in true } == StoreNews(changes: .all))
            }
            try await listening(2, on: name)
            let scene = try await Scene(a)
            #expect(await wait(for: newsOfB) { $0.changes == .directory } != nil)
            try await scene.receive([draft(), draft()])
            #expect(await wait(for: newsOfB) { $0.head == 2 } != nil)
            try await a.deleteSessions(of: scene.account.id)
            #expect(await wait(for: newsOfB) { $0.changes == .sessions } != nil)
            try await a.announce(OverlayAnnouncement(page: scene.page.id, message: ByteBuffer(string: "{}")))
            #expect(await wait(for: newsOfB) { $0.changes == .overlays } != nil)
            _ = try await b.createPage(.named("birds", owner: scene.account))
            // The first that A hears of since is what B did: of its own changes, commits and all, it is told nothing.
            #expect(await wait(for: newsOfA) { _ in true }?.changes == .directory)
        }
    }

    @Test func `what was told to nobody is found by the next beat`() async throws {
        try await withNodes { a, b, name in
            let news = b.listen()
            _ = try await b.beat(report("b"))
            #expect(await wait(for: news) { _ in true } == StoreNews(changes: .all))
            try await listening(1, on: name)
            try server.cutOff(name)
            try server.run(name, "UPDATE tipwire.changes SET directory = directory + 1")
            // The connection that was cut fails its first call.
            while (try? await b.beat(report("b"))) == nil {}
            #expect(await wait(for: news) { _ in true } == StoreNews(changes: .directory))
            _ = a
        }
    }

    @Test func `a change is waited for until the others have it, those that are silent left out`() async throws {
        try await withNodes { a, b, name in
            for store in [a, b] { _ = try await store.beat(report("x")) }
            let scene = try await Scene(a)
            // B takes over all of it but the last.
            let version = try await b.directory().version
            _ = try await a.createPage(.named("birds", owner: scene.account))
            try await b.took(directory: version)
            let began = ContinuousClock.now
            await a.waitForOthers()
            #expect(began.duration(to: .now) >= .milliseconds(NodeTimes.patience), "it has its time")
            async let waited: Void = a.waitForOthers()
            try await b.took(directory: try await b.directory().version)
            await waited
            #expect(
                try server.run(name, "SELECT directory FROM tipwire.nodes WHERE id = '\(b.node.text)'")
                    == "\(version + 1)")
            // A beat tells it too, when the word was lost.
            try server.run(name, "UPDATE tipwire.nodes SET directory = 0")
            _ = try await b.beat(report("x"))
            #expect(
                try server.run(name, "SELECT directory FROM tipwire.nodes WHERE id = '\(b.node.text)'")
                    == "\(version + 1)")
            _ = try await a.createPage(.named("bees", owner: scene.account))
            try server.run(name, "UPDATE tipwire.nodes SET seen_at = seen_at - \(NodeTimes.silent)")
            let second = ContinuousClock.now
            await a.waitForOthers()
            #expect(second.duration(to: .now) < .milliseconds(NodeTimes.patience))
        }
    }

    /// Returns when so many connections listen.
    private func listening(_ count: Int, on name: String) async throws {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = '\(name)' AND query = 'LISTEN tipwire'"
        while try server.run("postgres", sql) != "\(count)" { try await Task.sleep(for: .milliseconds(5)) }
    }
}
