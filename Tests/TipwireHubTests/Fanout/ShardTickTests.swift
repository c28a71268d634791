import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireHub

@Suite("A shard's tick", .timeLimit(.minutes(1)))
struct ShardTickTests {
    /// One listener on each loop, the second with a key that expires a second after noon.
    private func withTwo(
        _ settings: Fanout.Settings = .test(), _ body: @Sendable (Hub, Listener, Listener) async throws -> Void
    ) async throws {
        try await withHub(settings) { hub in
            let account = try await hub.directory.makeAccount("olivia")
            let page = try await hub.directory.makePage("page", of: account.id)
            let lasting = try await hub.listen(.page(page.id), as: principal(account))
            let expiring = try await hub.listen(
                .page(page.id), as: principal(account, key: "k2", expiresAt: noon.advanced(milliseconds: 1_000)),
                loop: 1)
            try await body(hub, lasting, expiring)
        }
    }

    @Test("A key that expires ends its streams at its millisecond, and no other's")
    func expiry() async throws {
        try await withTwo { hub, lasting, expiring in
            hub.clock.advance(milliseconds: 999)
            try await hub.tick()
            #expect(expiring.sink.heard.value.end == nil)
            hub.clock.advance(milliseconds: 1)
            try await hub.tick()
            #expect(expiring.sink.heard.value.end == .keyExpired)
            #expect(lasting.sink.heard.value.end == nil)
            #expect(await hub.fanout.statistics().connections == 1)
            // Not for being slow.
            #expect(await hub.fanout.statistics().slowConsumersCut == 0)
        }
    }

    @Test("A peer that has not been heard for the idle limit is ended")
    func idle() async throws {
        try await withTwo(.test(idleSeconds: 0)) { hub, lasting, expiring in
            try await hub.tick()
            #expect(lasting.sink.heard.value.end == .idle)
            #expect(expiring.sink.heard.value.end == .idle)
            #expect(await hub.fanout.connections().isEmpty)
        }
    }

    @Test("A quiet peer is probed once, and once more after it was heard")
    func probe() async throws {
        try await withTwo(.test(probeSeconds: 0)) { hub, listener, other in
            #expect(listener.sink.heard.value.probes == 0)
            for _ in 0..<3 { try await hub.tick() }
            #expect(listener.sink.heard.value.probes == 1)
            try await listener.speak()
            for _ in 0..<3 { try await hub.tick() }
            #expect(listener.sink.heard.value.probes == 2)
            #expect(other.sink.heard.value.probes == 1)
            #expect(listener.sink.heard.value.end == nil)
        }
    }

    @Test("Within its limits a listener is left alone")
    func nothing() async throws {
        try await withTwo { hub, listener, _ in
            for _ in 0..<10 { try await hub.tick() }
            let heard = listener.sink.heard.value
            #expect(heard.probes == 0 && heard.end == nil && heard.writes.isEmpty)
        }
    }
}
