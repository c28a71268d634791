import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("The shutdown, as each connection sees it", .timeLimit(.minutes(1)))
struct DrainTests {
    /// Begins the shutdown and returns when it has reached the connections.
    private func drain(_ server: TestServer) async throws {
        let idle = try await server.connect()
        try await idle.send(server.request("GET", "/health"))
        _ = try await idle.reply()
        await server.drain()
        #expect(await idle.rest() == "")
    }

    @Test("Connections that wait for a request are closed at once")
    func waiting() async throws {
        try await TestServer.run {
            $0.configuration.drain.seconds = 30
        } _: { server in
            let fresh = try await server.connect()
            let partial = try await server.connect()
            try await partial.send("GET /health HT")
            try await drain(server)
            #expect(await fresh.rest() == "")
            #expect(await partial.rest() == "")
            #expect(!fresh.hasExpired && !partial.hasExpired, "they waited for the end of the drain's time")
        }
    }

    @Test("A request that is being received is taken in and answered, then the connection ends")
    func receiving() async throws {
        try await TestServer.run {
            $0.configuration.drain.seconds = 10
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(server.tipHead(headers: "Expect: 100-continue\r\n"))
            #expect(try await wire.reply().status == 100)
            try await drain(server)
            try await wire.send(#"{"grossAmountInCents":500}"# + server.request("GET", "/health"))
            let reply = try await wire.reply()
            #expect(reply.status == 201 && reply.header("connection") == "close")
            #expect(await wire.rest() == "")
        }
    }

    @Test("A request that is being answered is answered, then the connection ends")
    func answering() async throws {
        let committing = Latch()
        let release = Latch()
        try await TestServer.run {
            $0.configuration.drain.seconds = 10
            $0.store = { base in
                FaultyStore(
                    real: base,
                    beforeCommit: {
                        committing.open()
                        await release.wait()
                    })
            }
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(
                server.request(
                    "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#))
            await committing.wait()
            try await drain(server)
            release.open()
            let reply = try await wire.reply()
            #expect(reply.status == 201 && reply.header("connection") == "close")
            #expect(await wire.rest() == "")
        }
    }

    @Test("A stream's request that isn't whole is not answered")
    func opening() async throws {
        try await TestServer.run {
            $0.configuration.drain.seconds = 30
        } _: { server in
            let wire = try await server.connect()
            let target = "/?auth=\(server.admin)&channel=firehose"
            try await wire.send(Handshake.request(target, headers: "Content-Length: 5\r\n"))
            try await drain(server)
            #expect(await wire.rest() == "")
            #expect(!wire.hasExpired, "it waited for the end of the drain's time")
        }
    }

    @Test("A feed is told 1012, and ends with the peer's answer")
    func feed() async throws {
        try await TestServer.run {
            $0.configuration.drain.seconds = 10
        } _: { server in
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            await server.drain()
            let close = try await feed.frame()
            #expect(close.opcode == ServerFrame.close && close.closeCode == 1012)
            #expect(close.closeReason == "the server is shutting down")
            try await feed.send(.close, ByteBuffer(bytes: [0x03, 0xE9]))
            #expect(await feed.rest() == "")
            #expect(!feed.wasReset)
        }
    }

    @Test("A feed whose peer doesn't answer is cut within the drain's time")
    func silentFeed() async throws {
        let began = ContinuousClock.now
        try await TestServer.run {
            $0.configuration.drain.seconds = 30
        } _: { server in
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            await server.drain()
            #expect(try await feed.frame().closeCode == 1012)
            #expect(await feed.rest() == "")
        }
        #expect(ContinuousClock.now - began < .seconds(12), "cut by the test's own limit")
    }

    @Test("Whoever is still there at the end of the drain's time is cut, and not told to be at fault")
    func limit() async throws {
        var stuck: Wire?
        try await TestServer.run {
            $0.configuration.drain.seconds = 1
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(server.tipHead(headers: "Expect: 100-continue\r\n"))
            #expect(try await wire.reply().status == 100)
            stuck = wire
        }
        let wire = try #require(stuck)
        let rest = await wire.rest()
        #expect(
            rest.isEmpty || rest.hasPrefix("HTTP/1.1 503 "),
            "a 4xx says: don't send this tip again: \(rest.prefix(400))")
        #expect(!wire.hasExpired)
    }

    @Test("Cut short, it ends at once, whoever is still connected")
    func cut() async throws {
        var began = ContinuousClock.now
        try await TestServer.run {
            $0.configuration.drain.seconds = 60
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(server.tipHead() + "{")
            try await drain(server)
            began = .now
            server.front.cut()
        }
        #expect(ContinuousClock.now - began < .seconds(10), "it waited for the connection")
    }

    @Test("No connection is taken any more, and /ready says so at once")
    func refusing() async throws {
        try await TestServer.run {
            $0.configuration.drain.seconds = 10
        } _: { server in
            #expect(try await server.call("GET", "/ready").status == 200)
            let wire = try await server.connect()
            try await wire.send(server.request("POST", "/ready", headers: "Content-Length: 1\r\n"))
            try await drain(server)
            await #expect(throws: (any Error).self) { _ = try await server.connect() }
            #expect(server.parts.drain.hasBegun)
        }
    }

    @Test("While draining /ready is 503 and /health is not")
    func ready() async throws {
        try await TestServer.run { server in
            server.parts.drain.begin()
            let ready = try await server.call("GET", "/ready")
            #expect(ready.status == 503 && ready.body == "draining\n")
            #expect(try await server.call("GET", "/health").status == 200)
        }
    }
}
