import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("A WebSocket upgrade at the gate", .timeLimit(.minutes(1)))
struct StreamRequestTests {
    @Test("A first request that upgrades is answered with the exact handshake and then carries frames")
    func fresh() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
            try await wire.sendText("ping")
            #expect(try await wire.frame() == ServerFrame(opcode: 1, payload: ByteBuffer(string: "pong")))
        }
    }

    @Test("A frame in the same segment as the handshake is answered, after the handshake")
    func frameWithHandshake() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            var segment = ByteBuffer(string: Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            segment.writeImmutableBuffer(
                WebSocketFrame.masked(opcode: .text, payload: ByteBuffer(string: "ping"), key: 7))
            try await wire.send(segment)
            #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
            #expect(try await wire.frame().text == "pong")
        }
    }

    @Test("A close frame in the same segment as the handshake leaves nothing behind")
    func closeWithHandshake() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            var segment = ByteBuffer(string: Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            segment.writeImmutableBuffer(
                WebSocketFrame.masked(opcode: .close, payload: ByteBuffer(bytes: [0x03, 0xE8]), key: 7))
            try await wire.send(segment)
            #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
            let close = try await wire.frame()
            #expect(close.opcode == ServerFrame.close && close.closeCode == 1000)
            #expect(await wire.rest() == "")
            #expect(await server.parts.fanout.connections().isEmpty)
        }
    }

    @Test("A refused upgrade is answered with its reason in JSON, and the connection ends")
    func refused() async throws {
        try await TestServer.run { server in
            let refusals = [
                (
                    Handshake.request("/socket"),
                    refusal("404 Not Found", "There is no WebSocket here; feeds are opened on '/'.")
                ),
                (
                    Handshake.request("/?channel=firehose"),
                    refusal("401 Unauthorized", "An API key is needed: add auth=YOUR_API_KEY to the URL.")
                ),
                (
                    Handshake.request("/?auth=\(server.admin)"),
                    refusal("400 Bad Request", "The parameter 'channel' must be 'firehose' or 'activity-feed'.")
                ),
                (
                    Handshake.request("/?auth=\(server.admin)&channel=activity-feed&room=nope"),
                    refusal("403 Forbidden", "There is no such page, or this key has no access to it.")
                ),
            ]
            for (request, answer) in refusals {
                let wire = try await server.connect()
                try await wire.send(request)
                #expect(await wire.rest() == answer)
                #expect(!wire.wasReset)
            }
        }
    }

    @Test("A malformed handshake is told what is wrong with it")
    func malformedHandshake() async throws {
        try await TestServer.run { server in
            let target = "/?auth=\(server.admin)&channel=firehose"
            let good = Handshake.request(target)
            let cases = [
                (
                    good.replacing("Version: 13", with: "Version: 8"), "426 Upgrade Required",
                    "This server speaks version 13 of the WebSocket protocol.",
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                ),
                (
                    good.replacing("GET ", with: "POST "), "405 Method Not Allowed",
                    "A WebSocket is opened with GET.", "Allow: GET\r\n"
                ),
                (
                    good.replacing("Connection: Upgrade\r\n", with: ""), "400 Bad Request",
                    "The Connection header does not name Upgrade; a proxy may have removed it.", ""
                ),
                (
                    good.replacing("HTTP/1.1", with: "HTTP/1.0"), "400 Bad Request", "A WebSocket needs HTTP/1.1.", ""
                ),
                (
                    good.replacing("dGhlIHNhbXBsZSBub25jZQ==", with: "short"), "400 Bad Request",
                    "The Sec-WebSocket-Key is not 16 bytes in base64.", ""
                ),
            ]
            for (request, status, message, extra) in cases {
                let wire = try await server.connect()
                try await wire.send(request)
                #expect(await wire.rest() == refusal(status, message, extra: extra))
            }
        }
    }

    @Test("The target may come in absolute form")
    func absoluteForm() async throws {
        try await TestServer.run { server in
            let query = "auth=\(server.admin)&channel=firehose"
            for target in ["http://tipwire.test/?\(query)", "ws://tipwire.test?\(query)"] {
                let wire = try await server.connect()
                try await wire.send(Handshake.request(target))
                #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer, "\(target.prefix(20))")
            }
        }
    }

    @Test("A plain GET of the same address is a page, not a feed")
    func plain() async throws {
        try await TestServer.run { server in
            let reply = try await server.call("GET", "/")
            #expect(reply.status == 200)
            #expect(reply.header("content-type") == "text/html; charset=utf-8")
        }
    }

    @Test("A connection that carried a request can become a feed")
    func secondRequest() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "/health"))
            #expect(try await wire.reply().body == "ok\n")
            try await wire.send(Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
            try await server.tip()
            #expect(try await wire.frame().json["type"]?.text == "campaigntip.notify")
            try await wire.sendText("ping")
            #expect(try await wire.frame().text == "pong")
            try await wire.send(.close, ByteBuffer())
            #expect(try await wire.frame().opcode == ServerFrame.close)
            #expect(await wire.rest() == "")
            #expect(await server.parts.fanout.connections().isEmpty)
        }
    }

    @Test("An upgrade behind another request waits for its answer, and the frame behind it for the upgrade")
    func pipelined() async throws {
        let committing = Latch()
        let release = Latch()
        try await TestServer.run {
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
            let tip = server.request(
                "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#)
            var segment = ByteBuffer(string: tip + Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            segment.writeImmutableBuffer(
                WebSocketFrame.masked(opcode: .text, payload: ByteBuffer(string: "ping"), key: 7))
            try await wire.send(segment)
            await committing.wait()
            #expect(await server.parts.fanout.connections().isEmpty, "the feed began before its turn")
            release.open()
            #expect(try await wire.reply().status == 201)
            #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
            #expect(try await wire.frame().text == "pong")
        }
    }

    @Test("A refused upgrade behind another request is answered after it")
    func pipelinedRefusal() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "/health") + Handshake.request("/socket"))
            #expect(try await wire.reply().body == "ok\n")
            #expect(
                await wire.rest()
                    == refusal("404 Not Found", "There is no WebSocket here; feeds are opened on '/'."))
        }
    }

    @Test("A feed whose peer has ended its side already is not kept")
    func halfClosed() async throws {
        try await TestServer.run { server in
            let upgrade = Handshake.request("/?auth=\(server.admin)&channel=firehose")
            for prefix in ["", server.request("GET", "/health")] {
                let wire = try await server.connect()
                try await wire.send(prefix + upgrade)
                try await wire.endSending()
                _ = await wire.rest()
                #expect(!wire.hasExpired, "ended by the test's own limit, not by the server")
                #expect(await server.parts.fanout.connections().isEmpty)
            }
        }
    }
}
