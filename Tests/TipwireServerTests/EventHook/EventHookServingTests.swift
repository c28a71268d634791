import NIOCore
import Testing
import TipwireCore
import TipwireWire

@testable import TipwireServer

@Suite("The Event Hook of a whole server", .timeLimit(.minutes(1)))
struct EventHookServingTests {
    private let path = "/api/tip-events/stream"

    private func request(_ server: TestServer, _ query: String = "page=main", headers: String = "") -> String {
        server.request("GET", "\(path)?\(query)", key: server.admin, headers: headers)
    }

    /// The next chunk's content.
    private func chunk(_ wire: Wire) async throws -> String {
        let size = try #require(Int(try await wire.text(through: "\r\n").dropLast(), radix: 16))
        let content = try await wire.bytes(size)
        #expect(try await wire.text(through: "\r\n") == "\r\n")
        return String(buffer: content)
    }

    private func open(_ server: TestServer, _ query: String = "page=main", headers: String = "") async throws -> Wire {
        let wire = try await server.connect()
        try await wire.send(request(server, query, headers: headers))
        #expect(try await wire.text(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
        return wire
    }

    @Test("A stream is a second request of a connection, and a refused one ends it")
    func secondRequest() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "/health"))
            #expect(try await wire.reply().status == 200)
            try await wire.send(request(server))
            #expect(try await wire.text(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(try await chunk(wire) == "data: {\"type\":\"connected\"}\n\n")
            try await server.tip()
            #expect(try await chunk(wire).hasPrefix("data: {\"type\":\"tip:received\""))
            let refused = try await server.connect()
            try await refused.send(server.request("GET", "/health") + server.request("POST", path, json: "{}"))
            #expect(try await refused.reply().status == 200)
            let reply = try await refused.reply()
            #expect(reply.status == 405 && reply.header("allow") == "GET, OPTIONS")
            #expect(await refused.rest().isEmpty)
        }
    }

    @Test("A chain of goals arrives in order, and a resuming stream gets what another had, with the same ids")
    func resume() async throws {
        try await TestServer.run { server in
            let goals = "/api/v1/pages/main/goals"
            for cents in [100, 200] {
                _ = try await server.call(
                    "POST", goals, key: server.admin, json: #"{"description":"G","amountInCents":\#(cents)}"#)
            }
            let live = try await open(server, "page=main&resume=true")
            #expect(try await chunk(live).hasSuffix("data: {\"type\":\"connected\"}\n\n"))
            let resumed = try await chunk(live)
            #expect(resumed.hasSuffix("data: {\"type\":\"resumed\",\"status\":\"resumed\"}\n\n"))
            let start = try #require(resumed.split(separator: "\n").first?.dropFirst(4))
            try await server.tip("main", #"{"grossAmountInCents":350,"id":"a"}"#)
            var first: [String] = []
            for _ in 0..<5 { first.append(try await chunk(live)) }
            let types = [
                "tip:received", "tip:goal-completed", "tip:goal-completed", "tip:overflow-chain", "tip:queue-updated",
            ]
            for (message, type) in zip(first, types) { #expect(message.contains("data: {\"type\":\"\(type)\",")) }

            let again = try await open(server, headers: "Last-Event-ID: \(start)\r\n")
            _ = try await chunk(again)
            _ = try await chunk(again)
            for message in first { #expect(try await chunk(again) == message) }
            let middle = try #require(first[1].split(separator: "\n").first?.dropFirst(4))
            let rest = try await open(server, "page=main&last_event_id=\(middle)")
            #expect(try await chunk(rest).hasPrefix("id: \(middle)\n"))
            _ = try await chunk(rest)
            for message in first[2...] { #expect(try await chunk(rest) == message) }
            let nonsense = try await open(server, "page=main&lastEventId=elsewhere-1")
            _ = try await chunk(nonsense)
            #expect(try await chunk(nonsense).contains("\"reset\""))
        }
    }

    @Test("A revoked key's stream ends with a whole body before the call returns")
    func revocation() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.keyAndID(server.administrator)
            let wire = try await server.connect()
            try await wire.send(server.request("GET", "\(path)?page=main&token=\(key.text)"))
            _ = try await wire.text(through: "\r\n\r\n")
            _ = try await chunk(wire)
            #expect(try await server.call("DELETE", "/api/v1/keys/\(key.id)", key: server.admin).status == 204)
            #expect(await wire.rest() == "0\r\n\r\n")
        }
    }

    @Test("A shutdown ends streams with a whole body")
    func shutdown() async throws {
        try await TestServer.run { server in
            let wire = try await open(server)
            _ = try await chunk(wire)
            await server.drain()
            #expect(await wire.rest() == "0\r\n\r\n")
        }
    }

    @Test("Comments keep a stream alive, and a limit on its life ends it")
    func keepalive() async throws {
        try await TestServer.run {
            $0.configuration.sse.keepaliveSeconds = 1
            $0.configuration.sse.maxStreamSeconds = 3
        } _: { server in
            let wire = try await open(server)
            _ = try await chunk(wire)
            #expect(try await chunk(wire) == ": keepalive\n\n")
            let rest = await wire.rest()
            #expect(rest.hasSuffix("0\r\n\r\n") && !wire.hasExpired)
        }
    }

    @Test("The list of connections tells a stream from a feed")
    func connections() async throws {
        try await TestServer.run { server in
            let wire = try await open(server)
            _ = try await chunk(wire)
            let list = try await server.call("GET", "/api/v1/connections", key: server.admin)
            let connection = try #require(list.json["data"]?.list?.first)
            #expect(connection["kind"]?.text == "sse" && connection["channel"] == .null)
            #expect(connection["page"]?.text == "main")
            let metrics = try await server.call("GET", "/metrics", key: server.admin).body
            #expect(metrics.contains("tipwire_connections{kind=\"sse\"} 1\n"))
            #expect(metrics.contains("tipwire_connections{kind=\"feed\"} 0\n"))
            let id = try #require(connection["id"]?.text)
            #expect(try await server.call("DELETE", "/api/v1/connections/\(id)", key: server.admin).status == 204)
            #expect(await wire.rest() == "0\r\n\r\n")
        }
    }
}
