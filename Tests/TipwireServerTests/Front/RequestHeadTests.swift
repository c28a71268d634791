import Testing

@testable import TipwireServer

@Suite("Heads that are refused before anything acts on them", .timeLimit(.minutes(1)))
struct RequestHeadTests {
    private func answer(to request: String, from server: TestServer) async throws -> String {
        let wire = try await server.connect()
        try await wire.send(request)
        let answer = await wire.rest()
        #expect(!wire.wasReset)
        return answer
    }

    @Test("What is no HTTP, or could be read in two ways, is 400")
    func malformed() async throws {
        let expected = refusal("400 Bad Request", "This is not an HTTP request.")
        try await TestServer.run { server async throws in
            for request in [
                "\u{16}\u{3}\u{1} hello\r\n\r\n",
                "GET\r\n\r\n",
                "FETCH / HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            ] {
                #expect(try await answer(to: request, from: server) == expected, "\(request.debugDescription)")
            }
        }
    }

    @Test("A head that is too large is 431")
    func tooLarge() async throws {
        let expected = refusal("431 Request Header Fields Too Large", "The request's headers are too large.")
        try await TestServer.run { server async throws in
            let long = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 200_000)
            #expect(try await answer(to: long, from: server) == expected)
            let many = "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "X: y\r\n", count: 1_000) + "\r\n"
            #expect(try await answer(to: many, from: server) == expected)
        }
    }

    @Test("One Host is needed, and only one")
    func host() async throws {
        try await TestServer.run { server async throws in
            for (request, message) in [
                ("GET /health HTTP/1.1\r\n\r\n", "The Host header is missing."),
                ("GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "There is more than one Host header."),
                ("GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "There is more than one Host header."),
            ] {
                #expect(try await answer(to: request, from: server) == refusal("400 Bad Request", message))
            }
        }
    }

    @Test("A target that is no path is 400")
    func target() async throws {
        try await TestServer.run { server async throws in
            #expect(
                try await answer(to: "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", from: server)
                    == refusal("400 Bad Request", "The request target must be a path."))
        }
    }

    @Test("A bad head on a connection that carried a request is refused too")
    func second() async throws {
        try await TestServer.run { server in
            for (bad, message) in [
                ("GET / HTTP/1.1\r\n\r\n", "The Host header is missing."),
                ("nonsense\r\n\r\n", "This is not an HTTP request."),
            ] {
                let wire = try await server.connect()
                try await wire.send(server.request("GET", "/health"))
                #expect(try await wire.reply().status == 200)
                try await wire.send(bad)
                let reply = try await wire.reply()
                #expect(reply.status == 400 && reply.json["error"]?.text == message)
                #expect(reply.header("connection") == "close")
                #expect(await wire.rest() == "")
            }
        }
    }

    @Test("Another version of HTTP is 505")
    func version() async throws {
        try await TestServer.run { server in
            let answer = try await answer(to: "GET / HTTP/4.0\r\nHost: a\r\n\r\n", from: server)
            #expect(answer == refusal("505 HTTP Version Not Supported", "This server speaks HTTP/1.1."))
        }
    }
}
