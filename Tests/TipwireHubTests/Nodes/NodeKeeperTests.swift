import Logging
import ServiceLifecycle
import Synchronization
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("NodeKeeper", .timeLimit(.minutes(1)))
struct NodeKeeperTests {
    /// A keeper that runs, with one part that is concerned by the directory.
    private func withKeeper(
        expect: (@Sendable (Int64) -> Void)? = nil, logger: Logger = silence,
        _ body: @Sendable (Desk) async throws -> Void
    ) async throws {
        let desk = Desk(expect: expect, logger: logger)
        try await desk.keeper.begin()
        try await withServices([desk.keeper]) { _ in try await body(desk) }
        #expect(desk.store.told.value.hasLeft)
    }

    @Test("A part hears of the changes that concern it, and of no others")
    func changes() async throws {
        try await withKeeper { desk in
            desk.store.tell(StoreNews(changes: .sessions))
            desk.store.tell(StoreNews(changes: [.directory, .webhooks]))
            try await until { desk.part.calls.value == ["refresh"] }
        }
    }

    @Test("A refresh that fails is made again")
    func failedRefresh() async throws {
        try await withKeeper { desk in
            desk.part.failures.change { $0 = 1 }
            desk.store.tell(StoreNews(changes: .directory))
            try await until { desk.part.calls.value == ["failed", "refresh"] }
        }
    }

    @Test("A log that has grown moves the position and wakes whoever reads it, unless events come by another way")
    func head() async throws {
        try await withKeeper { desk in
            let ear = desk.wakeUp.listen()
            desk.store.tell(StoreNews(head: 7))
            for await _ in ear.signals { break }
            #expect(desk.position.bounds.head == 7 && !ear.takeNews(after: 0).isWhole)
        }
        let expected = Watched<[Int64]>([])
        try await withKeeper(expect: { head in expected.change { $0.append(head) } }) { desk in
            desk.store.tell(StoreNews(head: 7))
            try await until { expected.value == [7] }
            #expect(desk.position.bounds.head == 0)
        }
    }

    @Test("Beats say whose the sending is, and whoever can't beat lets go of it")
    func sending() async throws {
        try await withKeeper { desk in
            desk.store.answer.change { $0.isSender = true }
            try await until { desk.part.calls.value == ["send"] }
            desk.store.answer.change { $0.isFailing = true }
            try await until { desk.part.calls.value == ["send", "rest"] }
            #expect(!desk.keeper.isConnected)
            desk.store.answer.change { $0.isFailing = false }
            try await until { desk.part.calls.value == ["send", "rest", "send"] && desk.keeper.isConnected }
        }
    }

    @Test("The sending ends in time while a beat hangs, and comes back with its answer")
    func hangingBeat() async throws {
        try await withKeeper { desk in
            desk.store.answer.change { $0.isSender = true }
            try await until { desk.part.calls.value == ["send"] }
            desk.store.answer.change { $0.isHanging = true }
            try await until { desk.part.calls.value == ["send", "rest"] }
            #expect(desk.store.answer.value.isHanging)
            desk.store.answer.change { $0.isHanging = false }
            try await until { desk.part.calls.value == ["send", "rest", "send"] }
        }
    }

    @Test("What a node may begin, and what it gives it to end, are over before another may begin")
    func leaseIsLongEnough() {
        // A beat's worth of difference, for whoever is late to act on its own clock.
        #expect(NodeTimes.sendingGrace + NodeTimes.handover + NodeTimes.beat <= NodeTimes.sendingLease)
        #expect(NodeTimes.sendingGrace > NodeTimes.silent, "one lost beat or two are no reason to hand over")
    }

    @Test("A node whose name another living one has says so; who died under it a moment ago is no other one")
    func namesakes() async throws {
        @Sendable func node(_ id: NodeID = .random(), name: String, silence: Int64 = 0) -> StoredNode {
            StoredNode(
                id: id, report: NodeReport(name: name, version: "1", url: "", startedAt: noon), silence: silence,
                lag: 0, isSender: false)
        }
        for (nodes, isTold) in [
            ([node(name: "b")], false), ([node(name: "a", silence: NodeTimes.silent)], false),
            ([node(name: "b"), node(name: "a", silence: 5)], true),
        ] {
            let lines = Watched<[String]>([])
            try await withKeeper(logger: Logger(label: "test") { _ in LogDouble(lines: lines) }) { desk in
                let own = node(desk.store.node, name: "a")
                desk.store.answer.change { $0.nodes = nodes + [own] }
                try await until { desk.store.told.value.lists > 0 }
            }
            #expect(lines.value.contains { $0.contains("--node-name") } == isTold, "\(nodes.map(\.report.name))")
        }
    }

    @Test("A node that was taken for dead has its parts look at what is left to them")
    func takenForDead() async throws {
        try await withKeeper { desk in
            desk.store.answer.change { $0.isNew = true }
            try await until { desk.part.calls.value.contains("returned") }
        }
    }

    @Test("Another log takes the place of the known one in every part before anything is read from it")
    func replacedLog() async throws {
        try await withKeeper { desk in
            desk.position.advance(to: LogBounds(epoch: "e", head: 9, prunedThrough: 0))
            desk.store.answer.change { $0.bounds = LogBounds(epoch: "f", head: 5, prunedThrough: 0) }
            try await until { desk.store.told.value.adoptions == 1 }
            #expect(desk.part.calls.value.first == "replaced 5")
            #expect(desk.position.bounds == LogBounds(epoch: "f", head: 5, prunedThrough: 0))
            // What others changed in what is lost is looked at anew, too.
            try await until { desk.part.calls.value == ["replaced 5", "refresh"] }
        }
    }
}

/// A keeper with all that it needs, and no store.
private struct Desk: Sendable {
    let store = NodeStoreDouble()
    let part = PartDouble()
    let position = LogPosition(LogBounds(epoch: "e", head: 0, prunedThrough: 0))
    let wakeUp = WakeUp()
    let keeper: NodeKeeper

    init(expect: (@Sendable (Int64) -> Void)?, logger: Logger) {
        keeper = NodeKeeper(
            store: store, position: position, wakeUp: wakeUp, parts: [part],
            report: { NodeReport(name: "a", version: "1", url: "", startedAt: noon) },
            expect: expect,
            pace: .init(beat: .milliseconds(10), patience: .milliseconds(100), grace: .milliseconds(100)),
            logger: logger)
    }
}

private final class PartDouble: SharedPart {
    let calls = Watched<[String]>([])
    let failures = Watched(0)
    let subject: StoreChanges = .directory

    func refresh() async throws {
        if failures.value > 0 {
            failures.change { $0 -= 1 }
            calls.change { $0.append("failed") }
            throw StoreFailing("as it was told to")
        }
        calls.change { $0.append("refresh") }
    }

    func returned() async { calls.change { $0.append("returned") } }
    func setSending(_ isSender: Bool) async { calls.change { $0.append(isSender ? "send" : "rest") } }
    func logReplaced(_ bounds: LogBounds) async { calls.change { $0.append("replaced \(bounds.head)") } }
}

private final class NodeStoreDouble: NodeStore {
    struct Answer: Sendable {
        var bounds = LogBounds(epoch: "e", head: 0, prunedThrough: 0)
        var isSender = false
        var isNew = false
        var isFailing = false
        var isHanging = false
        var nodes: [StoredNode] = []
    }

    struct Told: Sendable {
        var adoptions = 0
        var lists = 0
        var hasLeft = false
    }

    let node = NodeID.random()
    let answer = Watched(Answer())
    let told = Watched(Told())
    private let news = AsyncStream<StoreNews>.makeStream()

    func tell(_ item: StoreNews) { news.continuation.yield(item) }
    func listen() -> AsyncStream<StoreNews> { news.stream }

    func beat(_ report: NodeReport) async throws -> NodeBeat {
        try await answer.wait { !$0.isHanging }
        let answer = answer.value
        if answer.isFailing { throw StoreFailing("as it was told to") }
        return NodeBeat(bounds: answer.bounds, isSender: answer.isSender, isNew: answer.isNew)
    }

    func leave() async throws {
        told.change { $0.hasLeft = true }
        news.continuation.finish()
    }

    func nodes() async throws -> [StoredNode] {
        told.change { $0.lists += 1 }
        return answer.value.nodes
    }
    func took(directory version: Int64) async throws {}
    func waitForOthers() async {}

    func adoptLog() async throws -> LogBounds {
        told.change { $0.adoptions += 1 }
        return answer.value.bounds
    }
}

/// Keeps what is logged.
private struct LogDouble: LogHandler {
    let lines: Watched<[String]>
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.change { $0.append("\(event.message)") } }
}
