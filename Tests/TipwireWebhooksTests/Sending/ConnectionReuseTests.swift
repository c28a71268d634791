import NIOCore
import NIOHTTP1
import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("Connections that are used again", .timeLimit(.minutes(1)))
struct ConnectionReuseTests {
    @Test("One after the other, all requests to a target take one connection")
    func reuse() async throws {
        let endpoint = try await EndpointDouble(.status(200, body: "ok"))
        let bench = try SendingBench()
        for _ in 0..<20 {
            #expect(try await bench.send("http://hook.example:\(endpoint.port)/").outcome.isDelivered)
        }
        #expect(endpoint.connections == 1 && endpoint.requests.count == 20)
        #expect(bench.sender.idleConnections == 1)
        await endpoint.stop()
    }

    @Test("Another name or another address is another target")
    func targets() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench()
        #expect(try await bench.send("http://a.example:\(endpoint.port)/").outcome.isDelivered)
        #expect(try await bench.send("http://b.example:\(endpoint.port)/").outcome.isDelivered)
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        #expect(endpoint.connections == 3 && bench.sender.idleConnections == 3)
        let moving = try SendingBench(resolver: ResolverDouble("127.0.0.1", "127.0.0.2"))
        #expect(try await moving.send("http://a.example:\(endpoint.port)/").outcome.isDelivered)
        // Nothing listens there: the idle connection to where the name was isn't taken.
        #expect(try await moving.send("http://a.example:\(endpoint.port)/").outcome == .unreachable(.refused))
        await endpoint.stop()
    }

    @Test(
        "An endpoint that ends its connections is connected to anew",
        arguments: [
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ])
    func notKept(answer: String) async throws {
        let endpoint = try await EndpointDouble(.answer(answer))
        let bench = try SendingBench()
        for count in 1...3 {
            #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
            #expect(endpoint.connections == count)
        }
        #expect(bench.sender.idleConnections == 0)
        await until { endpoint.ended == 3 }
        await endpoint.stop()
    }

    @Test(
        "An answer is used to its last byte; what begins behind it isn't the answer to the next request",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 204 No\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ])
    func followed(answer: String) async throws {
        let exact = try await EndpointDouble(.answer(answer))
        let more = try await EndpointDouble(.answer(answer + "HTTP/1.1 200 OK\r\nX: y"))
        let bench = try SendingBench()
        for count in 1...3 {
            #expect(try await bench.send("http://127.0.0.1:\(exact.port)/").outcome.isDelivered)
            #expect(exact.connections == 1)
            #expect(try await bench.send("http://127.0.0.1:\(more.port)/").outcome.isDelivered)
            #expect(more.connections == count, "the beginning of another answer stands in the connection")
        }
        await exact.stop()
        await more.stop()
    }

    @Test("A connection that is closed in the moment of its next use costs no attempt")
    func stale() async throws {
        let endpoint = try await EndpointDouble { number, request in
            // Takes the second request of a connection and closes without a word.
            number == 2 ? .close(after: "") : .status(200)
        }
        let bench = try SendingBench()
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        #expect(endpoint.requests.map(\.connection) == [1, 1, 2])
        #expect(Set(endpoint.requests.map { $0.head.headers.first(name: "webhook-id") }) == ["evt_1"])
        await endpoint.stop()
    }

    @Test("A connection that the endpoint closed while it idled isn't kept")
    func closedWhileIdle() async throws {
        let endpoint = try await EndpointDouble(
            .close(after: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        let bench = try SendingBench()
        for _ in 0..<5 {
            #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
            await until { bench.sender.idleConnections == 0 }
        }
        #expect(endpoint.requests.count == 5)
        await endpoint.stop()
    }

    @Test("An idle connection is closed after its time")
    func idleTime() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench { $0.idleTime = .milliseconds(20) }
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        await until { endpoint.ended == 1 && bench.sender.idleConnections == 0 }
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        #expect(endpoint.connections == 2)
        await endpoint.stop()
    }

    @Test("A connection isn't used again past its age")
    func age() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench { $0.connectionAge = .nanoseconds(1) }
        for count in 1...3 {
            #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
            #expect(endpoint.connections == count)
        }
        await until { endpoint.ended == 3 }
        await endpoint.stop()
    }

    @Test("Idle connections are bounded")
    func bounds() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench { $0.idle = 2 }
        let request = try bench.request("http://127.0.0.1:\(endpoint.port)/")
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 { group.addTask { try await bench.sender.send(request).outcome.isDelivered } }
            for try await isDelivered in group { #expect(isDelivered) }
        }
        #expect(endpoint.requests.count == 16)
        #expect((1...2).contains(bench.sender.idleConnections))
        await until { endpoint.connections - endpoint.ended == bench.sender.idleConnections }
        await endpoint.stop()
    }

    @Test("After the shutdown no connection is left")
    func shutdown() async throws {
        let endpoint = try await EndpointDouble(.status(200))
        let bench = try SendingBench()
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        await bench.sender.shutdown()
        #expect(bench.sender.idleConnections == 0)
        await until { endpoint.ended == 1 }
        #expect(try await bench.send("http://127.0.0.1:\(endpoint.port)/").outcome.isDelivered)
        await until { endpoint.ended == 2 }
        #expect(bench.sender.idleConnections == 0)
        await endpoint.stop()
    }

    @Test("One endpoint that hangs holds up nothing at another")
    func apart() async throws {
        let dead = try await EndpointDouble(.silence)
        let live = try await EndpointDouble(.status(200))
        let bench = try SendingBench()
        let hanging = try bench.request("http://127.0.0.1:\(dead.port)/")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 { group.addTask { _ = try? await bench.sender.send(hanging) } }
            await until { dead.requests.count == 50 }
            for _ in 0..<50 {
                let report = try? await bench.send("http://127.0.0.1:\(live.port)/")
                #expect(report?.outcome.isDelivered == true)
            }
            #expect(dead.ended == 0)
            group.cancelAll()
        }
        await dead.stop()
        await live.stop()
    }
}
