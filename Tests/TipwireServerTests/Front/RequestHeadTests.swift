import NIOHTTP1
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

    private static let noRequest = refusal("400 Bad Request", "This is not an HTTP request.")

    @Test(
        "What is no HTTP, or could be read in two ways, is 400",
        arguments: [
            "\u{16}\u{3}\u{1} hello\r\n\r\n", "GET\r\n\r\n", "nonsense\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\rHost: a\r\r",
            "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n", "GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /h\u{E9} HTTP/1.1\r\nHost: a\r\n\r\n", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
        ])
    func malformed(request: String) async throws {
        try await TestServer.run { server async throws in
            #expect(try await answer(to: request, from: server) == Self.noRequest)
        }
    }

    @Test(
        "A length that isn't one number, or isn't the only word on the matter, is 400",
        arguments: [
            "Content-Length: 3\r\nContent-Length: 4", "Content-Length: 3\r\nContent-Length: 3", "Content-Length: 3, 3",
            "Content-Length: -1", "Content-Length: +3", "Content-Length: 0x3", "Content-Length: 3 4",
            "Content-Length: ",
            "Content-Length: 99999999999999999999999", "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
        ])
    func lengths(headers: String) async throws {
        try await TestServer.run { server async throws in
            let request = "POST / HTTP/1.1\r\nHost: a\r\n\(headers)\r\n\r\n0\r\n\r\n"
            #expect(try await answer(to: request, from: server) == Self.noRequest)
        }
    }

    @Test(
        "A transfer coding is 'chunked' alone, said once, on HTTP/1.1",
        arguments: [
            ("HTTP/1.1", "", "400 Bad Request", "The Transfer-Encoding header is empty."),
            ("HTTP/1.0", "chunked", "400 Bad Request", "HTTP/1.0 has no Transfer-Encoding."),
            ("HTTP/1.1", "gzip, chunked", "501 Not Implemented", nil),
            ("HTTP/1.1", "gzip", "501 Not Implemented", nil),
            ("HTTP/1.1", "identity", "501 Not Implemented", nil),
            ("HTTP/1.1", "xchunked", "501 Not Implemented", nil),
            ("HTTP/1.1", "chunked;a=b", "501 Not Implemented", nil),
            ("HTTP/1.1", "\"chunked\"", "501 Not Implemented", nil),
            ("HTTP/1.1", "identity\r\nTransfer-Encoding: chunked", "501 Not Implemented", nil),
            ("HTTP/1.1", "chunked, gzip", "400 Bad Request", "This is not an HTTP request."),
            ("HTTP/1.1", "chunked, chunked", "400 Bad Request", "This is not an HTTP request."),
            ("HTTP/1.1", "chunked\r\nTransfer-Encoding: chunked", "400 Bad Request", "This is not an HTTP request."),
            ("HTTP/1.1", "chunked\r\nTransfer-Encoding: identity", "400 Bad Request", "This is not an HTTP request."),
        ] as [(String, String, String, String?)])
    func transferCodings(version: String, value: String, status: String, message: String?) async throws {
        try await TestServer.run { server async throws in
            let request = "POST / \(version)\r\nHost: a\r\nTransfer-Encoding: \(value)\r\n\r\n0\r\n\r\n"
            let message = message ?? "This server takes no Transfer-Encoding but 'chunked' alone."
            #expect(try await answer(to: request, from: server) == refusal(status, message))
        }
    }

    @Test("'chunked' is taken in any case, with white space around it")
    func chunked() async throws {
        try await TestServer.run { server async throws in
            let wire = try await server.connect()
            for value in [" chunked", "\tChUnKeD "] {
                let head = "GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\(value)\r\n\r\n"
                try await wire.send(head + "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n")
                #expect(try await wire.reply().body == "ok\n")
            }
        }
    }

    @Test(
        "A chunk that could be read in two ways is 400",
        arguments: [
            "3\nabc\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nabc\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n", "3\r\nabc\n0\r\n\r\n",
            "3;a\nabc\r\n0\r\n\r\n",
            "\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\n",
        ])
    func chunks(body: String) async throws {
        try await TestServer.run { server async throws in
            let request = server.request(
                "POST", "/api/v1/pages/main/tips", key: server.admin,
                headers: "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")
            let answer = try await answer(to: request + body, from: server)
            #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.hasSuffix(#"{"error":"This is not an HTTP request."}"#))
        }
    }

    @Test("A head is taken up to its limits, and is 431 past each")
    func limits() async throws {
        let tooLarge = refusal("431 Request Header Fields Too Large", "The request's headers are too large.")
        func field(_ bytes: Int) -> String { "X: " + String(repeating: "x", count: bytes) + "\r\n" }
        try await TestServer.run { server async throws in
            let start = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            for good in [
                field(16_000), String(repeating: "X: y\r\n", count: 97), field(15_000) + field(15_000),
            ] {
                #expect(try await answer(to: start + good + "\r\n", from: server).hasPrefix("HTTP/1.1 200 "))
            }
            for bad in [
                field(16_385), String(repeating: "X: y\r\n", count: 99), field(15_000) + field(15_000) + field(3_000),
                // Long past the limit: what is still coming doesn't destroy the answer.
                field(1_000_000),
            ] {
                #expect(try await answer(to: start + bad + "\r\n", from: server) == tooLarge)
            }
            let target = "/health?" + String(repeating: "x", count: 16_384)
            #expect(try await answer(to: "GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n", from: server) == tooLarge)
        }
    }

    @Test(
        "One Host is needed, only one, and one that is a host",
        arguments: ["a b", "a/b", "a@b", "a:80:81", "[::1", "a:99999"])
    func host(bad: String) async throws {
        try await TestServer.run { server async throws in
            for (request, message) in [
                ("GET /health HTTP/1.1\r\n\r\n", "The Host header is missing."),
                ("GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "There is more than one Host header."),
                ("GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "There is more than one Host header."),
                (
                    "GET /health HTTP/1.1\r\nHost: \(bad)\r\n\r\n",
                    "The Host header is not a host name or address with an optional port."
                ),
                (
                    "GET http://\(bad.filter { $0 != "/" && $0 != " " })@/health HTTP/1.1\r\nHost: a\r\n\r\n",
                    "The request target's host is not a host name or address with an optional port."
                ),
            ] {
                #expect(try await answer(to: request, from: server) == refusal("400 Bad Request", message))
            }
        }
    }

    @Test(
        "Names, addresses and ports are hosts",
        arguments: ["a", "A-b.example:80", "127.0.0.1:8080", "[::1]:1", "[::1]", "a:", ""])
    func goodHost(host: String) {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: ["host": host])
        #expect(HeadCheck.refusal(of: &head)?.body == nil)
    }

    @Test("Of a target in absolute form the path is what is asked, and its host wins")
    func absoluteForm() {
        for (target, path, host) in [
            ("http://b:81/x?y=1", "/x?y=1", "b:81"), ("HTTPS://b", "/", "b"), ("http://b?x", "/?x", "b"),
        ] {
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: ["host": "a"])
            #expect(HeadCheck.refusal(of: &head)?.body == nil)
            #expect(head.uri == path && head.headers["host"] == [host])
        }
    }

    @Test("A target that is no path is 400")
    func target() async throws {
        try await TestServer.run { server async throws in
            for (line, message) in [
                ("CONNECT a:443", "The request target must be a path."),
                ("GET *", "The request target must be a path."),
                ("GET ftp://a/x", "The request target must be a path."),
                ("GET /health#x", "The request target must not have a fragment."),
            ] {
                let request = "\(line) HTTP/1.1\r\nHost: a\r\n\r\n"
                #expect(try await answer(to: request, from: server) == refusal("400 Bad Request", message))
            }
        }
    }

    @Test("A method that nobody knows is 501")
    func method() async throws {
        let unknown = refusal("501 Not Implemented", "This server doesn't know the request's method.")
        try await TestServer.run { server async throws in
            for method in ["FETCH", "get", "X-1"] {
                #expect(try await answer(to: "\(method) / HTTP/1.1\r\nHost: a\r\n\r\n", from: server) == unknown)
            }
            #expect(try await answer(to: "FE(TCH / HTTP/1.1\r\nHost: a\r\n\r\n", from: server) == Self.noRequest)
        }
    }

    @Test("An expectation that isn't met is 417")
    func expectation() async throws {
        let expected = refusal("417 Expectation Failed", "This server meets no expectation but '100-continue'.")
        try await TestServer.run { server async throws in
            for value in ["a-miracle", "100-continue, a-miracle"] {
                let request = server.request("GET", "/health", headers: "Expect: \(value)\r\n")
                #expect(try await answer(to: request, from: server) == expected)
            }
        }
    }

    @Test("The refusal of a HEAD has no body")
    func headOfRefusal() async throws {
        try await TestServer.run { server async throws in
            let answer = try await answer(to: "HEAD / HTTP/1.1\r\n\r\n", from: server)
            #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test("A bad head on a connection that carried a request is refused too")
    func second() async throws {
        try await TestServer.run { server async throws in
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
        let expected = refusal("505 HTTP Version Not Supported", "This server speaks HTTP/1.1.")
        try await TestServer.run { server async throws in
            for version in ["HTTP/4.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1.1 "] {
                #expect(try await answer(to: "GET / \(version)\r\nHost: a\r\n\r\n", from: server) == expected)
            }
            #expect(try await answer(to: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", from: server) == expected)
        }
    }
}
