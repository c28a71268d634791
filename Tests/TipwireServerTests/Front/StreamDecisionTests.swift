import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireStore

@testable import TipwireServer

/// The time between a stream's request and its answer, held open by a store that doesn't answer.
@Suite("A stream whose right is being looked up", .timeLimit(.minutes(1)))
struct StreamDecisionTests {
    private func upgrade(_ server: TestServer) -> String {
        let headers = "Cookie: tipwire_session=abc\r\nOrigin: http://tipwire.test\r\n"
        return Handshake.request("/?channel=firehose", headers: headers)
    }

    @Test("A look-up that fails is 503 with a time to come back")
    func failure() async throws {
        try await TestServer.run {
            $0.store = { FaultyStore(real: $0, beforeSession: { throw StoreUnusable("/secret/path is damaged") }) }
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(upgrade(server))
            #expect(
                await wire.rest()
                    == refusal(
                        "503 Service Unavailable", "The server can't look this up now; try again.",
                        extra: "retry-after: 5\r\n"))
        }
    }

    @Test("A shutdown in the meantime refuses the stream with 503")
    func drain() async throws {
        let asking = Latch()
        let release = Latch()
        try await TestServer.run {
            $0.store = { base in
                FaultyStore(
                    real: base,
                    beforeSession: {
                        asking.open()
                        await release.wait()
                    })
            }
            $0.configuration.drain.seconds = 10
        } _: { server in
            let token = try await server.parts.links.begin(server.administrator.id)
            let wire = try await server.connect()
            try await wire.send(upgrade(server).replacing("abc", with: token))
            await asking.wait()
            let idle = try await server.connect()
            await server.drain()
            // The idle connection's end shows that the shutdown has reached the connections.
            _ = await idle.rest()
            release.open()
            #expect(
                await wire.rest()
                    == refusal(
                        "503 Service Unavailable", "The server is shutting down.", extra: "retry-after: 5\r\n"))
        }
    }

    @Test("A peer that leaves in the meantime leaves no listener behind, and its place is given back")
    func leaving() async throws {
        let asking = Latch()
        let release = Latch()
        try await TestServer.run {
            $0.store = { base in
                FaultyStore(
                    real: base,
                    beforeSession: {
                        asking.open()
                        await release.wait()
                    })
            }
            $0.configuration.feed.maxConnections = 1
        } _: { server in
            let token = try await server.parts.links.begin(server.administrator.id)
            let wire = try await server.connect()
            try await wire.send(upgrade(server).replacing("abc", with: token))
            await asking.wait()
            try await wire.endSending()
            #expect(await wire.rest() == "")
            release.open()
            // The one place is free for someone else.
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            try await feed.sendText("ping")
            #expect(try await feed.frame().text == "pong")
            #expect(await server.parts.fanout.connections().count == 1)
        }
    }
}
