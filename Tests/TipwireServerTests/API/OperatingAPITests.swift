import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

@testable import TipwireServer

@Suite("Operating the server", .timeLimit(.minutes(1)))
struct OperatingAPITests {
    @Test("/health and /ready are open to everyone, in plain text")
    func healthy() async throws {
        try await TestServer.run { server in
            for (path, body) in [("/health", "ok\n"), ("/ready", "ready\n")] {
                let reply = try await server.call("GET", path)
                #expect(reply.status == 200 && reply.body == body)
                #expect(reply.header("content-type") == "text/plain; charset=utf-8")
                #expect(reply.header("cache-control") == "no-store")
            }
        }
    }

    @Test("/ready is 503 when the store can't be read, and /health is not")
    func storeUnavailable() async throws {
        let isFailing = Flag()
        try await TestServer.run {
            $0.store = { base in
                FaultyStore(real: base, beforeBounds: { if isFailing.isSet { throw StoreUnusable("/secret") } })
            }
        } _: { server in
            isFailing.set()
            let ready = try await server.call("GET", "/ready")
            #expect(ready.status == 503 && ready.body == "store unavailable\n")
            #expect(try await server.call("GET", "/health").status == 200)
        }
    }

    @Test("With the intake full a tip is 503 and so is /ready, and both pass when there is room again")
    func intakeFull() async throws {
        let committing = Latch()
        let release = Latch()
        try await TestServer.run {
            $0.configuration.intake.maxPending = 1
            $0.store = { base in
                FaultyStore(
                    real: base,
                    beforeCommit: {
                        committing.open()
                        await release.wait()
                    })
            }
        } _: { server in
            let tip = #"{"grossAmountInCents":1}"#
            let path = "/api/v1/pages/main/tips"
            let first = try await server.connect()
            try await first.send(server.request("POST", path, key: server.admin, json: tip))
            await committing.wait()
            // The first is being committed; one more may wait.
            let second = try await server.connect()
            try await second.send(server.request("POST", path, key: server.admin, json: tip))
            await until { !server.parts.intake.isAccepting }
            let third = try await server.call("POST", path, key: server.admin, json: tip)
            #expect(third.status == 503 && third.header("retry-after") == "1")
            let ready = try await server.call("GET", "/ready")
            #expect(ready.status == 503 && ready.body.hasPrefix("not taking tips"))
            release.open()
            #expect(try await first.reply().status == 201)
            #expect(try await second.reply().status == 201)
            #expect(try await server.call("GET", "/ready").status == 200)
        }
    }

    @Test("A feed beyond feed.maxConnections is 503, and its place is free again when another ends")
    func full() async throws {
        try await TestServer.run {
            $0.configuration.feed.maxConnections = 1
        } _: { server in
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            let late = try await server.connect()
            try await late.send(Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            #expect(
                await late.rest()
                    == refusal(
                        "503 Service Unavailable", "The server has no room for another connection.",
                        extra: "retry-after: 5\r\n"))
            try await feed.send(.close, .init())
            _ = await feed.rest()
            await feed.close()
            await until { server.parts.quota.count == 0 }
            let next = try await server.feed("auth=\(server.admin)&channel=firehose")
            withExtendedLifetime(next) {}
        }
    }

    @Test("/metrics counts what happened: tips, repeats, deliveries, listeners, refusals")
    func metrics() async throws {
        try await TestServer.run { server in
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"a"}"#)
            _ = try await feed.frame()
            let path = "/api/v1/pages/main/tips"
            _ = try await server.call("POST", path, key: server.admin, json: #"{"grossAmountInCents":1,"id":"a"}"#)
            let refused = try await server.connect()
            try await refused.send(Handshake.request("/?auth=\(server.admin)&channel=nope"))
            _ = await refused.rest()
            let reply = try await server.call("GET", "/metrics", key: server.admin)
            #expect(reply.status == 200)
            #expect(reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
            let lines = Set(reply.body.split(separator: "\n").map(String.init))
            for line in [
                "tipwire_tips_total 1", "tipwire_tips_repeated_total 1", "tipwire_log_head_sequence 1",
                "tipwire_log_events 1", #"tipwire_connections{kind="feed"} 1"#, "tipwire_connections_limit 64",
                #"tipwire_deliveries_total{kind="feed"} 1"#, #"tipwire_stream_refusals_total{reason="channel"} 1"#,
                "tipwire_pages 2", "tipwire_keys 1", "tipwire_intake_pending_tips 0",
                "tipwire_commit_duration_seconds_count 2", "# TYPE tipwire_commit_duration_seconds histogram",
            ] {
                #expect(lines.contains(line), "\(line)")
            }
            #expect(!reply.body.contains(server.admin))
        }
    }

    @Test("A connection beyond the sockets that fit is closed unheard, and there is room again when another ends")
    func sockets() async throws {
        try await TestServer.run {
            $0.maxSockets = 1
        } _: { server in
            let first = try await server.connect()
            try await first.send(server.request("GET", "/health"))
            #expect(try await first.reply().status == 200)
            let second = try await server.connect()
            try? await second.send(server.request("GET", "/health"))
            #expect(await second.rest() == "")
            #expect(!second.hasExpired)
            try await first.send(server.request("GET", "/metrics", key: server.admin))
            let page = try await first.reply().body
            for line in ["tipwire_sockets 1", "tipwire_sockets_limit 1", "tipwire_sockets_refused_total 1"] {
                #expect(page.contains("\n\(line)\n"), "\(line)")
            }
            try await first.send(server.request("GET", "/health", headers: "Connection: close\r\n"))
            #expect(try await first.reply().status == 200)
            _ = await first.rest()
            await first.close()
            // The server learns of the end by itself; until then it turns callers away.
            var status: Int?
            while status == nil, !Task.isCancelled { status = try? await server.call("GET", "/health").status }
            #expect(status == 200)
        }
    }

    @Test("A port for metrics alone needs no key, and has nothing else")
    func metricsPort() async throws {
        try await TestServer.run {
            $0.isMetricsPort = true
        } _: { server in
            let metrics = try await server.call("GET", "/metrics")
            #expect(metrics.status == 200 && metrics.body.contains("\ntipwire_tips_total 0\n"))
            for path in ["/", "/health", "/api/v1/pages"] {
                #expect(try await server.call("GET", path, key: server.admin).status == 404, "\(path)")
            }
            let wire = try await server.connect()
            try await wire.send(Handshake.request("/?auth=\(server.admin)&channel=firehose"))
            #expect(await wire.rest() == refusal("404 Not Found", "There is no stream here."))
        }
    }
}
