import NIOCore
import NIOHTTP1
import NIOPosix
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("Sending webhooks", .timeLimit(.minutes(1)))
struct WebhookSenderTests {
    @Test("The request has its headers, its signature and its body, and nothing else")
    func request() async throws {
        let endpoint = try await EndpointDouble(.status(200, "Content-Type: text/plain\r\n", body: "thanks"))
        let bench = try SendingBench()
        let report = try await bench.send("http://Hook.Example:\(endpoint.port)/a?b=c")
        #expect(report.outcome == .delivered(status: 200))
        #expect(report.excerpt == "thanks" && report.contentType == "text/plain")
        #expect(report.address == IPAddress("127.0.0.1"))
        #expect(report.duration > .zero && report.duration < .seconds(30))
        #expect(bench.resolver.asked == ["hook.example"])
        let request = try #require(endpoint.requests.first)
        #expect(request.head.method == .POST && request.head.uri == "/a?b=c" && request.head.version == .http1_1)
        #expect(request.body == SendingBench.body)
        let signature = WebhookSignature.sign(
            id: "evt_1", timestamp: 1_750_000_000, body: SendingBench.body, secret: SendingBench.secret)
        let expected: HTTPHeaders = [
            "Host": "hook.example:\(endpoint.port)", "User-Agent": "tipwire/9.8.7", "Content-Type": "application/json",
            "Content-Length": "\(SendingBench.body.readableBytes)", "webhook-id": "evt_1",
            "webhook-timestamp": "1750000000", "webhook-signature": signature,
        ]
        #expect(request.head.headers == expected)
        await endpoint.stop()
    }

    @Test(
        "A status is what it is, and a redirect leads nowhere",
        arguments: [
            (200, .delivered(status: 200)), (201, .delivered(status: 201)), (299, .delivered(status: 299)),
            (301, .rejected(status: 301, retryAfter: nil)), (302, .rejected(status: 302, retryAfter: nil)),
            (307, .rejected(status: 307, retryAfter: nil)), (308, .rejected(status: 308, retryAfter: nil)),
            (400, .rejected(status: 400, retryAfter: nil)), (410, .rejected(status: 410, retryAfter: nil)),
            (500, .rejected(status: 500, retryAfter: nil)), (599, .rejected(status: 599, retryAfter: nil)),
        ] as [(Int, AttemptOutcome)])
    func statuses(status: Int, outcome: AttemptOutcome) async throws {
        let other = try await EndpointDouble(.status(200))
        let location = "Location: http://127.0.0.1:\(other.port)/\r\n"
        let endpoint = try await EndpointDouble(.status(status, location, body: "why"))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == outcome && report.excerpt == "why")
        #expect(endpoint.requests.count == 1 && other.connections == 0)
        await endpoint.stop()
        await other.stop()
    }

    @Test("An answer without a body is whole", arguments: [204, 304])
    func bodiless(status: Int) async throws {
        let endpoint = try await EndpointDouble(.answer("HTTP/1.1 \(status) X\r\n\r\n"))
        let bench = try SendingBench()
        let report = try await bench.send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome.status == status && report.outcome.isDelivered == (status == 204))
        await until { bench.sender.idleConnections == 1 }
        await endpoint.stop()
    }

    @Test(
        "Retry-After is read, in either form",
        arguments: [
            (429, "120", .seconds(120)),
            (503, "Sun, 06 Nov 1994 08:49:37 GMT", .at(Timestamp(milliseconds: 784_111_777_000))),
            (503, "soon", nil),
        ] as [(Int, String, RetryAfter?)])
    func retryAfter(status: Int, value: String, retryAfter: RetryAfter?) async throws {
        let endpoint = try await EndpointDouble(.status(status, "Retry-After: \(value)\r\n"))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .rejected(status: status, retryAfter: retryAfter))
        await endpoint.stop()
    }

    @Test("Informational answers are passed over")
    func informational() async throws {
        let endpoint = try await EndpointDouble(
            .answer(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: a\r\n\r\n"
                    + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            ))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .delivered(status: 200))
        await endpoint.stop()
    }

    @Test("Switching protocols is no delivery, and the connection isn't used again")
    func switching() async throws {
        let endpoint = try await EndpointDouble(.answer("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"))
        let bench = try SendingBench()
        let report = try await bench.send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .rejected(status: 101, retryAfter: nil))
        await until { endpoint.ended == 1 }
        #expect(bench.sender.idleConnections == 0)
        await endpoint.stop()
    }

    // MARK: Time

    @Test("An endpoint that hangs costs the time for the head")
    func hangs() async throws {
        let endpoint = try await EndpointDouble(.silence)
        let bench = try SendingBench { $0.head = .milliseconds(50) }
        let report = try await bench.send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .headTimedOut)
        #expect(report.duration >= .milliseconds(50))
        await until { endpoint.ended == 1 }
        #expect(endpoint.requests.count == 1)
        await endpoint.stop()
    }

    @Test(
        "Half a head, or a drop at a time, is no head",
        arguments: ["HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 100 Continue\r\n\r\n"])
    func slowHead(start: String) async throws {
        let endpoint = try await EndpointDouble(.answer(start))
        let bench = try SendingBench { $0.head = .milliseconds(50) }
        let report = try await bench.send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .headTimedOut)
        await endpoint.stop()
    }

    @Test("The whole attempt has a limit before an answer and amid one")
    func whole() async throws {
        let silent = try await EndpointDouble(.silence)
        let stalling = try await EndpointDouble(.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
        // Long enough for the connection and the head, however busy the machine.
        let bench = try SendingBench { $0.whole = .seconds(2) }
        async let first = bench.send("http://127.0.0.1:\(silent.port)/")
        async let second = bench.send("http://127.0.0.1:\(stalling.port)/")
        #expect(try await first.outcome == .wholeTimedOut(status: nil))
        let report = try await second
        #expect(report.outcome == .wholeTimedOut(status: 200) && report.excerpt == "half")
        await until { silent.ended == 1 && stalling.ended == 1 }
        await silent.stop()
        await stalling.stop()
    }

    @Test("A TLS handshake that isn't answered costs the time for connecting")
    func handshakeStalls() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let bench = try SendingBench { $0.connect = .milliseconds(50) }
        let report = try await bench.send("https://127.0.0.1:\(port)/")
        #expect(report.outcome == .connectTimedOut)
        try await server.close()
    }

    // MARK: Endings

    @Test(
        "A connection that ends before its answer",
        arguments: [
            ("", .closedEarly(status: nil)), ("HTTP/1.1 200 OK\r\nContent-", .closedEarly(status: nil)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .closedEarly(status: 200)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", .closedEarly(status: 200)),
            // Where its end is the answer's end, it is whole.
            ("HTTP/1.1 200 OK\r\n\r\nall", .delivered(status: 200)),
            ("HTTP/1.0 500 X\r\n\r\nall", .rejected(status: 500, retryAfter: nil)),
        ] as [(String, AttemptOutcome)])
    func closes(after text: String, outcome: AttemptOutcome) async throws {
        let endpoint = try await EndpointDouble(.close(after: text))
        let bench = try SendingBench()
        let report = try await bench.send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == outcome)
        #expect(endpoint.requests.count == 1, "on a new connection there is no second try")
        #expect(bench.sender.idleConnections == 0)
        await endpoint.stop()
    }

    @Test(
        "What isn't HTTP/1.1 is unreadable",
        arguments: [
            "220 smtp.example ESMTP\r\n", "HTTP/3.0 200 OK\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n",
            "HTTP/1.1 two OK\r\n\r\n",
        ])
    func unreadable(text: String) async throws {
        let endpoint = try await EndpointDouble(.answer(text))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .unreadableAnswer)
        await until { endpoint.ended == 1 }
        await endpoint.stop()
    }

    private static let block = String(repeating: "x", count: 8_192)

    @Test(
        "Of an endless answer only a little is read, and its status counts",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", .delivered(status: 200)),
            ("HTTP/1.1 200 OK\r\n\r\n", .delivered(status: 200)),
            ("HTTP/1.1 500 X\r\n\r\n", .rejected(status: 500, retryAfter: nil)),
        ] as [(String, AttemptOutcome)])
    func endless(head: String, outcome: AttemptOutcome) async throws {
        let endpoint = try await EndpointDouble(.endless(head, Self.block))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == outcome)
        #expect(report.excerpt == String(repeating: "x", count: 2_048))
        await until { endpoint.ended == 1 }
        // What went out and never arrived sits in the sockets' buffers; a gigabyte wouldn't.
        #expect(endpoint.bytesSent < 64 * 1024 * 1024)
        await endpoint.stop()
    }

    @Test(
        "An endless head is unreadable",
        arguments: [
            "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 100 Continue\r\nX: \(block)\r\n\r\nHTTP/1.1 100 Continue\r\nX: ",
        ])
    func endlessHead(start: String) async throws {
        let endpoint = try await EndpointDouble(.endless(start, Self.block))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .unreadableAnswer)
        await until { endpoint.ended == 1 }
        await endpoint.stop()
    }

    @Test("An excerpt isn't cut amid a character, and what isn't UTF-8 is replaced")
    func excerpt() async throws {
        let long = "a" + String(repeating: "ä€😀", count: 400)
        let endpoint = try await EndpointDouble(.status(200, body: long))
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(long.hasPrefix(report.excerpt))
        #expect((2_045...2_048).contains(report.excerpt.utf8.count))
        await endpoint.stop()
    }

    @Test("Nobody listens")
    func refused() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        await endpoint.stop()
        let report = try await SendingBench().send("http://127.0.0.1:\(endpoint.port)/")
        #expect(report.outcome == .unreachable(.refused))
        #expect(report.address == IPAddress("127.0.0.1"))
    }

    @Test("A cancelled attempt ends at once and has no outcome")
    func cancelled() async throws {
        let endpoint = try await EndpointDouble(.silence)
        let bench = try SendingBench()
        let request = try bench.request("http://127.0.0.1:\(endpoint.port)/")
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    _ = try await bench.sender.send(request)
                    return false
                } catch {
                    return true
                }
            }
            await until { endpoint.requests.count == 1 }
            group.cancelAll()
            for await isCancelled in group { #expect(isCancelled) }
        }
        await until { endpoint.ended == 1 }
        await endpoint.stop()
    }
}
