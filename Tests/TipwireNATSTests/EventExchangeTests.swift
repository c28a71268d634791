import Logging
import ServiceLifecycle
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport

@testable import TipwireNATS

/// One node: what its intake would signal, and what its relay would hear.
private struct Node: Sendable {
    let position = LogPosition(LogBounds(epoch: "0a1b2c3d", head: 0, prunedThrough: 0))
    let local = WakeUp()
    let shared = WakeUp()
    let ear: WakeUp.Listener
    let exchange: EventExchange

    init(_ server: NATSServer, limits: Sequencer.Limits) throws {
        ear = shared.listen()
        exchange = try EventExchange(
            at: NATSAddress("nats://127.0.0.1:\(server.port)")!, node: .random(), position: position, local: local,
            shared: shared, limits: limits, logger: silence)
    }

    func commit(_ events: [Event]) { local.signal(events, committedAt: .now) }

    /// Waits for signals until one makes `isEnough` true of all that came.
    func hear(until isEnough: ([Event], _ isWhole: Bool) -> Bool) async -> [Event] {
        var heard: [Event] = []
        var isWhole = true
        for await _ in ear.signals {
            let news = ear.takeAll()
            heard += news.events
            isWhole = isWhole && news.isWhole
            if isEnough(heard, isWhole) { break }
        }
        return heard
    }

    func connected(_ isConnected: Bool = true) async throws {
        while exchange.isConnected != isConnected {
            try Task.checkCancellation()
            await Task.yield()
        }
        // What the change itself told.
        _ = ear.takeAll()
    }
}

/// - Returns: the nodes, after their end.
@discardableResult private func withNodes(
    _ count: Int, _ server: NATSServer, limits: Sequencer.Limits = Sequencer.Limits(),
    _ body: @Sendable ([Node]) async throws -> Void
) async throws -> [Node] {
    let nodes = try (0..<count).map { _ in try Node(server, limits: limits) }
    let group = ServiceGroup(
        configuration: ServiceGroupConfiguration(services: nodes.map(\.exchange), logger: silence))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        for node in nodes { try await node.connected() }
        try await body(nodes)
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
    return nodes
}

@Suite("EventExchange", .serialized, .timeLimit(.minutes(1)))
struct EventExchangeTests {
    @Test("What two nodes commit both hear, once, in the log's order")
    func exchange() async throws {
        let server = try NATSServer()
        // Nothing is lost here, however busy the machine is, and so nothing is to be given up.
        let nodes = try await withNodes(2, server, limits: Sequencer.Limits(patience: .seconds(30))) { nodes in
            for sequence in stride(from: Int64(1), through: 400, by: 4) {
                nodes[0].commit(events(sequence...sequence + 1))
                nodes[1].commit(events(sequence + 2...sequence + 3))
                for node in nodes {
                    let heard = await node.hear { heard, _ in heard.last?.sequence == sequence + 3 }
                    #expect(heard == events(sequence...sequence + 3))
                }
            }
            #expect(nodes[1].position.bounds.head == 400)
        }
        // An event may be heard before its sender has counted it.
        #expect(nodes.map(\.exchange.metrics.eventsReceived.value) == [200, 200])
        #expect(nodes.map(\.exchange.metrics.eventsSent.value) == [200, 200])
        #expect(nodes.map(\.exchange.metrics.holes.value) == [0, 0])
    }

    @Test("A message that was lost leaves a hole that shows, and what the database tells of and doesn't come is read")
    func loss() async throws {
        let server = try NATSServer()
        try await withNodes(2, server) { nodes in
            // The first two are lost on their way.
            nodes[0].commit(events(3...3))
            let heard = await nodes[1].hear { heard, _ in !heard.isEmpty }
            #expect(heard == events(3...3) && nodes[1].exchange.metrics.holes.value == 1)
            // A position behind a hole is the log's to tell.
            #expect(nodes[1].position.bounds.head == 0)
            nodes[1].exchange.expect(5)
            #expect(await nodes[1].hear { _, isWhole in !isWhole } == [])
        }
    }

    @Test("While NATS is down own events go on at once; when it is there again so do those of others")
    func restart() async throws {
        let server = try NATSServer()
        try await withNodes(2, server) { nodes in
            server.kill()
            for node in nodes { try await node.connected(false) }
            nodes[0].commit(events(1...1))
            #expect(await nodes[0].hear { heard, _ in !heard.isEmpty } == events(1...1))
            // Behind a hole, that nobody will fill.
            nodes[0].commit(events(4...4))
            #expect(await nodes[0].hear { heard, _ in !heard.isEmpty } == events(4...4))
            try server.start()
            for node in nodes { try await node.connected() }
            nodes[0].commit(events(5...5))
            #expect(await nodes[1].hear { heard, _ in !heard.isEmpty } == events(5...5))
            #expect(nodes[0].exchange.metrics.eventsUnsent.value == 2)
        }
    }
}
