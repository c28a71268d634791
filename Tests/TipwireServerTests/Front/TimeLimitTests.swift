import NIOCore
import Testing
import TipwireCore

@testable import TipwireServer

/// Limits in real time, made short: what is awaited is the server's act, never a pause of the test's own.
@Suite("Time limits of a connection", .timeLimit(.minutes(1)))
struct TimeLimitTests {
    private static let short = TimeAmount.milliseconds(150)
    private static let long = TimeAmount.seconds(60)

    private func slowBody(_ server: TestServer) -> String {
        server.tipHead() + "{"
    }

    @Test("A head that doesn't come to its end is cut at the limit", arguments: ["", "GET / HTTP/1.1\r\nHo"])
    func slowHead(start: String) async throws {
        try await TestServer.run {
            $0.limits = .init(head: Self.short, body: Self.long, idle: Self.long)
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(start)
            #expect(await wire.rest() == "")
        }
    }

    @Test("A later head has the same limit, from its first byte")
    func slowLaterHead() async throws {
        try await TestServer.run {
            $0.limits = .init(head: Self.short, body: Self.long, idle: Self.long)
        } _: { server in
            let wire = try await server.connect()
            for _ in 1...2 {
                try await wire.send(server.request("GET", "/health"))
                #expect(try await wire.reply().status == 200)
            }
            try await wire.send("GET /health HTTP/1.1\r\nX: ")
            #expect(await wire.rest() == "")
            #expect(!wire.hasExpired)
        }
    }

    @Test("The body of a stream's request that doesn't come is 408", arguments: [false, true])
    func slowBodyOfStream(isLater: Bool) async throws {
        try await TestServer.run {
            $0.limits = .init(head: Self.long, body: Self.short, idle: Self.long)
        } _: { server in
            let wire = try await server.connect()
            if isLater {
                try await wire.send(server.request("GET", "/health"))
                #expect(try await wire.reply().status == 200)
            }
            let target = "/?auth=\(server.admin)&channel=firehose"
            try await wire.send(Handshake.request(target, headers: "Content-Length: 5\r\n"))
            let reply = try await wire.reply()
            #expect(reply.status == 408 && reply.header("connection") == "close")
        }
    }

    @Test("A body that doesn't come is 408 at its own limit, however long the one before it was")
    func slowBody() async throws {
        try await TestServer.run {
            $0.limits = .init(head: Self.long, body: Self.short, idle: Self.long)
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(slowBody(server))
            let reply = try await wire.reply()
            #expect(reply.status == 408 && reply.header("connection") == "close")
            #expect(reply.json["error"]?.text == "The request's body did not come in time.")
        }
    }

    @Test("A connection without another request is closed at the limit")
    func idle() async throws {
        try await TestServer.run {
            $0.limits = .init(head: Self.long, body: Self.long, idle: Self.short)
        } _: { server in
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "/health"))
            #expect(try await wire.reply().status == 200)
            #expect(await wire.rest() == "")
        }
    }

    @Test("An open feed and an answer in the making are not subject to the limits of requests")
    func exempt() async throws {
        let committing = Latch()
        let release = Latch()
        try await TestServer.run {
            $0.limits = .init(head: .seconds(1), body: Self.short, idle: Self.short)
            $0.store = { base in
                FaultyStore(
                    real: base,
                    beforeCommit: {
                        committing.open()
                        await release.wait()
                    })
            }
        } _: { server in
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            let slow = try await server.connect()
            try await slow.send(
                server.request(
                    "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#))
            await committing.wait()
            // A connection that came later and is cut shows that all limits have passed.
            let silent = try await server.connect()
            _ = await silent.rest()
            try await feed.sendText("ping")
            #expect(try await feed.frame().text == "pong")
            release.open()
            #expect(try await slow.reply().status == 201)
        }
    }

    @Test("A refused peer that doesn't end its side is cut after the closing limit")
    func lingering() async throws {
        var wire: Wire?
        var drained = ContinuousClock.now
        try await TestServer.run {
            $0.limits = .init(head: Self.long, body: Self.long, idle: Self.long)
            $0.configuration.drain.seconds = 9
        } _: { server in
            let refused = try await server.connect()
            try await refused.send("GET / HTTP/1.1\r\n\r\n")
            #expect(await refused.rest() == refusal("400 Bad Request", "The Host header is missing."))
            wire = refused
            drained = .now
        }
        // The drain waits for the last connection, so its end shows when that was cut: by the limit of 5 seconds.
        #expect(ContinuousClock.now - drained < .seconds(8))
        #expect(wire?.hasExpired == false)
    }
}
