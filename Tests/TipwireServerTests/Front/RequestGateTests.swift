import NIOCore
import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("Plain requests at the gate", .timeLimit(.minutes(1)))
struct RequestGateTests {
    @Test("One connection carries request after request")
    func keepAlive() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            for _ in 1...3 {
                try await wire.send(server.request("GET", "/health"))
                let reply = try await wire.reply()
                #expect(reply.status == 200 && reply.body == "ok\n")
                #expect(reply.header("connection") == nil)
            }
        }
    }

    @Test("Requests that come together are answered in their order")
    func pipelining() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let tip = #"{"grossAmountInCents":500,"id":"one"}"#
            let path = "/api/v1/pages/main/tips"
            try await wire.send(
                server.request("GET", "/health") + server.request("POST", path, key: server.admin, json: tip)
                    + server.request("GET", path + "/one", key: server.admin) + server.request("GET", "/nowhere")
                    + server.request("POST", path, key: server.admin, json: tip) + server.request("GET", "/ready"))
            let replies = [
                try await wire.reply(), try await wire.reply(), try await wire.reply(), try await wire.reply(),
                try await wire.reply(), try await wire.reply(),
            ]
            #expect(replies.map(\.status) == [200, 201, 200, 404, 200, 200])
            #expect(replies[0].body == "ok\n" && replies[5].body == "ready\n")
            #expect(replies[2].json["id"]?.text == "one")
        }
    }

    @Test("A body in pieces, chunked or not, arrives whole")
    func pieces() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let head = "POST /api/v1/pages/main/tips HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(server.admin)\r\n"
            try await wire.send(head + "Content-Type: application/json\r\nContent-Length: 26\r\n\r\n")
            try await wire.send(#"{"grossAmount"#)
            try await wire.send(#"InCents":500}"#)
            #expect(try await wire.reply().status == 201)
            try await wire.send(head + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            try await wire.send("d\r\n{\"grossAmount\r\n")
            try await wire.send("d\r\nInCents\":500}\r\n0\r\n\r\n")
            #expect(try await wire.reply().status == 201)
        }
    }

    @Test("'Connection: close' is said back and done, and nothing behind it is answered")
    func connectionClose() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(
                server.request("GET", "/health", headers: "Connection: close\r\n") + server.request("GET", "/ready"))
            let reply = try await wire.reply()
            #expect(reply.body == "ok\n" && reply.header("connection") == "close")
            #expect(await wire.rest() == "")
            #expect(!wire.wasReset)
        }
    }

    @Test("What is no HTTP behind a good request doesn't cost that its answer, and is refused behind it")
    func badBehindGood() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "/health") + "nonsense\r\n\r\n")
            #expect(try await wire.reply().body == "ok\n")
            let refusal = try await wire.reply()
            #expect(refusal.status == 400 && refusal.header("connection") == "close")
            #expect(await wire.rest() == "")
            #expect(!wire.wasReset && !wire.hasExpired)
        }
    }

    @Test("HTTP/1.0 is answered, without Host, and the connection ends")
    func oldVersion() async throws {
        try await TestServer.run { server in
            for headers in ["", "Connection: keep-alive\r\n"] {
                let wire = try await server.connect()
                try await wire.send("GET /health HTTP/1.0\r\n\(headers)\r\n")
                let reply = try await wire.reply()
                #expect(reply.body == "ok\n" && reply.header("connection") == "close")
                #expect(await wire.rest() == "")
            }
        }
    }

    @Test("HTTP/1.0 knows no 100")
    func oldExpectation() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let request = server.request(
                "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#,
                headers: "Expect: 100-continue\r\n")
            try await wire.send(request.replacing("HTTP/1.1", with: "HTTP/1.0"))
            #expect(try await wire.reply().status == 201)
        }
    }

    @Test("A request that names another protocol is answered as it is, and the connection ends")
    func otherProtocol() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(
                server.request("GET", "/health", headers: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
            let reply = try await wire.reply()
            #expect(reply.body == "ok\n" && reply.header("connection") == "close")
            #expect(await wire.rest() == "")
        }
    }

    @Test("'Expect: 100-continue' gets its 100 before the body is sent")
    func expectation() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let head = server.tipHead(headers: "Expect: 100-continue\r\n")
            try await wire.send(head)
            #expect(try await wire.reply().head == "HTTP/1.1 100 Continue\r\n\r\n")
            try await wire.send(#"{"grossAmountInCents":500}"#)
            #expect(try await wire.reply().status == 201)
            try await wire.send(server.request("GET", "/health"))
            #expect(try await wire.reply().body == "ok\n")
        }
    }

    @Test("A request that is refused by its head gets no 100, but its answer at once, and the connection ends")
    func unmetExpectation() async throws {
        try await TestServer.run { server in
            for (key, length, status) in [("nonsense", 26, 401), (server.admin, 30_000_000, 413)] {
                let wire = try await server.connect()
                try await wire.send(
                    server.request(
                        "POST", "/api/v1/pages/main/tips", key: key,
                        headers: "Content-Type: application/json\r\nContent-Length: \(length)\r\n"
                            + "Expect: 100-continue\r\n"))
                let reply = try await wire.reply()
                #expect(reply.status == status && reply.header("connection") == "close")
                #expect(await wire.rest() == "")
            }
        }
    }

    @Test("Who has no body, or has sent it already, needs no 100")
    func needlessExpectation() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let expect = "Expect: 100-Continue\r\n"
            try await wire.send(server.request("GET", "/health", headers: expect))
            #expect(try await wire.reply().body == "ok\n")
            try await wire.send(
                server.request(
                    "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#,
                    headers: expect))
            #expect(try await wire.reply().status == 201)
        }
    }

    @Test(
        "A stream's request whose body waits for the word is told to send it, and becomes the stream",
        arguments: [false, true], ["Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"])
    func streamsExpectation(isUsed: Bool, framing: String) async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            if isUsed {
                try await wire.send(server.request("GET", "/nowhere"))
                #expect(try await wire.reply().status == 404)
            }
            let target = "/?auth=\(server.admin)&channel=firehose"
            let upgrade =
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nExpect: 100-continue\r\n"
            try await wire.send(server.request("GET", target, headers: upgrade + framing))
            #expect(try await wire.reply().head == "HTTP/1.1 100 Continue\r\n\r\n")
            try await wire.send(framing.contains("chunked") ? "4\r\nbody\r\n0\r\n\r\n" : "body")
            #expect(try await wire.reply().status == 101)
        }
    }

    @Test("A peer that ends its side after a request still gets the answer, then the end")
    func halfClose() async throws {
        try await TestServer.run { server in
            for count in [1, 3] {
                let wire = try await server.connect()
                try await wire.send(String(repeating: server.request("GET", "/health"), count: count))
                try await wire.endSending()
                for _ in 1...count { #expect(try await wire.reply().body == "ok\n") }
                #expect(await wire.rest() == "")
                #expect(!wire.hasExpired && !wire.wasReset)
            }
        }
    }

    @Test("A request that is cut short is not answered, and nothing of it is kept")
    func cutShort() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let whole = server.request(
                "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#)
            try await wire.send(String(whole.dropLast(3)))
            try await wire.endSending()
            #expect(await !wire.rest().contains("201"))
            let tips = try await server.call("GET", "/api/v1/pages/main/tips", key: server.admin)
            #expect(tips.json["data"]?.list == [])
        }
    }

    @Test("An answer that comes before the body says that the connection ends, and isn't destroyed by the rest")
    func earlyAnswer() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            let head = server.request(
                "POST", "/api/v1/pages/main/tips", key: server.admin,
                headers: "Content-Type: application/json\r\nContent-Length: 1000000\r\n")
            try await wire.send(head)
            let reply = try await wire.reply()
            #expect(reply.status == 413)
            #expect(reply.header("connection") == "close")
            // What the peer was still sending is taken and dropped; the end is orderly.
            try await wire.send(String(repeating: "x", count: 300_000))
            #expect(await wire.rest() == "")
            #expect(!wire.wasReset)
        }
    }

    @Test("A body that breaks the chunked coding is 400, also after a good request")
    func badChunk() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "/health"))
            #expect(try await wire.reply().status == 200)
            try await wire.send(
                server.request(
                    "POST", "/api/v1/pages/main/tips", key: server.admin,
                    headers: "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n") + "zz\r\n")
            let reply = try await wire.reply()
            #expect(reply.status == 400 && reply.body == #"{"error":"This is not an HTTP request."}"#)
            #expect(reply.header("connection") == "close")
            #expect(await wire.rest() == "")
        }
    }

    @Test("The absolute form of a target is taken")
    func absoluteForm() async throws {
        try await TestServer.run { server async throws in
            #expect(try await server.call("GET", "http://tipwire.test/health").body == "ok\n")
        }
    }

    @Test("Every answer of the service has a date and forbids guessing its type")
    func commonHeaders() async throws {
        try await TestServer.run { server in
            for path in ["/health", "/nowhere", "/api/v1/pages"] {
                let reply = try await server.call("GET", path)
                #expect(reply.header("date")?.hasSuffix(" GMT") == true)
                #expect(reply.header("x-content-type-options") == "nosniff")
            }
        }
    }
}
