import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport
import TipwireWebhooks
import TipwireWire

@testable import TipwireServer

@Suite("The API of deliveries", .timeLimit(.minutes(1)))
struct DeliveriesAPITests {
    private static let names = [
        "id", "type", "created_at", "attempts", "state", "status", "next_attempt_at", "reason", "outcome", "test",
    ]

    /// A server with a webhook on `main`, and where that leads.
    private struct Bench {
        let server: TestServer
        let receiver: ReceiverDouble
        let path: String
        let id: String

        static func run(_ body: (Bench) async throws -> Void) async throws {
            try await ReceiverDouble.run { receiver in
                try await TestServer.run {
                    $0.allowLoopback()
                } _: { server in
                    let made = try await server.call(
                        "POST", "/api/v1/subscriptions", key: server.admin,
                        json: #"{"page":"main","callback":"\#(receiver.callback)"}"#)
                    let id = try #require(made.json["connection_id"]?.text, "\(made.body)")
                    try await body(
                        Bench(server: server, receiver: receiver, path: "/api/v1/subscriptions/\(id)", id: id))
                }
            }
        }

        func call(_ method: String, _ tail: String, json: String? = nil) async throws -> Reply {
            try await server.call(method, path + tail, key: server.admin, json: json)
        }

        func list(_ query: String = "") async throws -> [JSONValue] {
            let reply = try await call("GET", "/deliveries\(query)")
            #expect(reply.status == 200 && reply.json.names == ["data", "next"], "\(reply.body)")
            return reply.json["data"]?.list ?? []
        }

        func ids(_ query: String = "") async throws -> [String] { try await list(query).compactMap { $0["id"]?.text } }

        /// Sends a tip; gives its message's id.
        func tip() async throws -> String {
            try #require(
                try await server.tip("main", #"{"grossAmountInCents":500,"displayName":"Ada"}"#).json["cursor"]?.text)
        }

        /// Returns when so many deliveries are in this state.
        func reached(_ state: String, _ count: Int = 1) async throws {
            while try await list("?state=\(state)").count < count { try Task.checkCancellation() }
        }
    }

    @Test("A delivery that arrived is shown with what was sent and what was answered")
    func delivered() async throws {
        try await Bench.run { bench in
            let cursor = try await bench.tip()
            let message = try await bench.receiver.received(1)
            #expect(message.method == "POST" && message.headers["webhook-id"] == [cursor])
            try await bench.reached("delivered")
            let listed = try #require(try await bench.list().first)
            #expect(listed.names == Self.names)
            #expect(listed["id"]?.text == cursor && listed["type"]?.text == "alerts.notifications")
            #expect(listed["attempts"]?.integer == 1 && listed["status"]?.integer == 200)
            #expect(listed["state"]?.text == "delivered" && listed["outcome"]?.text == "answered 200")
            #expect(listed["next_attempt_at"] == .null && listed["reason"] == .null && listed["test"]?.bool == false)

            let detail = try await bench.call("GET", "/deliveries/\(cursor)")
            #expect(detail.status == 200 && detail.json.names == Self.names + ["request", "log"])
            #expect(detail.json["request"]?.names == ["body"])
            #expect(detail.json["request"]?["body"]?.text == message.body)
            #expect(!detail.body.contains("whsec_"))
            let log = try #require(detail.json["log"]?.list)
            try #require(log.count == 1)
            #expect(log[0].names == ["number", "began_at", "duration_ms", "status", "outcome", "answer"])
            #expect(log[0]["number"]?.integer == 1 && log[0]["answer"]?.text == "noted")
            #expect(log[0]["status"]?.integer == 200 && log[0]["outcome"]?.text == "answered 200")
            let shown = try await bench.call("GET", "")
            #expect(shown.json["pending"]?.integer == 0 && shown.json["failing_since"] == .null)
        }
    }

    @Test("One that failed waits, and the webhook says since when and until when")
    func failed() async throws {
        try await Bench.run { bench in
            bench.receiver.status.change { $0 = 500 }
            let cursor = try await bench.tip()
            _ = try await bench.receiver.received(1)
            while try await bench.list().first?["attempts"]?.integer != 1 { try Task.checkCancellation() }
            let delivery = try #require(try await bench.list().first)
            #expect(delivery["state"]?.text == "pending" && delivery["status"]?.integer == 500)
            #expect(delivery["outcome"]?.text == "answered 500" && delivery["id"]?.text == cursor)
            let created = try #require(delivery["created_at"]?.integer)
            let next = try #require(delivery["next_attempt_at"]?.integer)
            #expect((created + 4...created + 12).contains(next))
            var shown = try await bench.call("GET", "").json
            // The endpoint's place is free a moment after the end is kept.
            while shown["next_attempt_at"] == .null {
                try Task.checkCancellation()
                shown = try await bench.call("GET", "").json
            }
            #expect(shown["pending"]?.integer == 1 && shown["next_attempt_at"]?.integer == next)
            #expect(shown["failing_since"]?.integer.map { $0 >= created } == true)
        }
    }

    @Test("Deliveries come newest first, in pieces, and by their state")
    func paging() async throws {
        try await Bench.run { bench in
            var cursors: [String] = []
            for _ in 0..<5 { cursors.append(try await bench.tip()) }
            try await bench.reached("delivered", 5)
            #expect(try await bench.ids() == cursors.reversed())
            let first = try await bench.call("GET", "/deliveries?limit=2")
            #expect(first.json["next"]?.text == cursors[3])
            #expect(try await bench.ids("?limit=2&after=\(cursors[3])") == [cursors[2], cursors[1]])
            let last = try await bench.call("GET", "/deliveries?limit=2&after=\(cursors[1])")
            #expect(last.json["next"] == .null && last.json["data"]?.list?.count == 1)
            #expect(try await bench.ids("?state=delivered&limit=1") == [cursors[4]])
            #expect(try await bench.ids("?state=pending") == [])
            #expect(try await bench.ids("?state=dead") == [])
            for (query, field) in [("state=x", "state"), ("limit=1001", "limit"), ("after=x", "after")] {
                let reply = try await bench.call("GET", "/deliveries?\(query)")
                #expect(reply.status == 422 && reply.badFields == [field])
            }
        }
    }

    @Test("A test is taken in, sent, marked as one, and found by its id")
    func test() async throws {
        try await Bench.run { bench in
            let reply = try await bench.call("POST", "/test")
            #expect(reply.status == 202 && reply.json.names == Self.names && reply.json["test"]?.bool == true)
            let id = try #require(reply.json["id"]?.text)
            #expect(id.wholeMatch(of: #/test-[0-9a-f]{16}/#) != nil)
            let message = try await bench.receiver.received(1)
            #expect(message.headers["webhook-id"] == [id])
            let body = try JSONValue.parse(message.body)
            #expect(body.names == ["type", "subscription", "data", "id", "test"] && body["test"]?.bool == true)
            let detail = try await bench.call("GET", "/deliveries/\(id)")
            #expect(detail.json["request"]?["body"]?.text == message.body)
            try await bench.reached("delivered")
            let cursor = try await bench.tip()
            try await bench.reached("delivered", 2)
            #expect(try await bench.ids() == [cursor, id])
            #expect(try await bench.ids("?after=\(cursor)") == [id])
            #expect(try await bench.call("GET", "/deliveries?status=500").badFields == ["status"])
            #expect(try await bench.call("POST", "/test", json: #"{"x":1}"#).badFields == ["x"])
        }
    }

    @Test("One delivery is sent again, with the same id and body")
    func retry() async throws {
        try await Bench.run { bench in
            let cursor = try await bench.tip()
            try await bench.reached("delivered")
            let reply = try await bench.call("POST", "/deliveries/\(cursor)/retry")
            #expect(reply.status == 202 && reply.json.names == Self.names && reply.json["id"]?.text == cursor)
            let again = try await bench.receiver.received(2)
            #expect(again.headers["webhook-id"] == [cursor])
            #expect(again.body == bench.receiver.received.value[0].body)
            while try await bench.call("GET", "/deliveries/\(cursor)").json["log"]?.list?.count != 2 {
                try Task.checkCancellation()
            }
            for id in ["x", "test-0123456789abcdef", cursor + "9"] {
                #expect(try await bench.call("GET", "/deliveries/\(id)").status == 404, "\(id)")
                #expect(try await bench.call("POST", "/deliveries/\(id)/retry").status == 404, "\(id)")
            }
        }
    }

    @Test("Many are sent again by time, state or status, and how many is told")
    func retryMany() async throws {
        try await Bench.run { bench in
            for _ in 0..<3 { _ = try await bench.tip() }
            try await bench.reached("delivered", 3)
            var sent = 3
            for (query, count) in [
                ("", 0), ("?status=failed", 0), ("?status=dead", 0), ("?status=500", 0), ("?status=delivered", 3),
                ("?status=200", 3), ("?status=all&from=2020-01-01T00:00:00Z", 3), ("?status=all&from=4000000000", 0),
                ("?status=all&to=2020-01-01T00:00:00Z", 0), ("?status=all&to=4000000000", 3),
            ] {
                let reply = try await bench.call("POST", "/retry\(query)")
                #expect(reply.status == 202 && reply.body == #"{"retried":\#(count),"state":"enabled"}"#, "\(query)")
                sent += count
                _ = try await bench.receiver.received(sent)
                try await bench.reached("delivered", 3)
            }
            #expect(bench.receiver.received.value.count == sent)
            for (query, field) in [
                ("status=x", "status"), ("status=99", "status"), ("status=600", "status"), ("from=yesterday", "from"),
                ("to=-1", "to"), ("form=4000000000&status=all", "form"), ("status=", "status"),
                ("status=500&status=501", "status"),
            ] {
                let reply = try await bench.call("POST", "/retry?\(query)")
                #expect(reply.status == 422 && reply.badFields == [field], "\(query)")
            }
        }
    }

    @Test("410 disables with its reason, and enabling it sends what waits")
    func gone() async throws {
        try await Bench.run { bench in
            bench.receiver.status.change { $0 = 410 }
            _ = try await bench.tip()
            while try await bench.call("GET", "").json["state"]?.text != "disabled" { try Task.checkCancellation() }
            let shown = try await bench.call("GET", "").json
            #expect(shown["disabled_reason"]?.text == "the endpoint answered 410")
            #expect(try await bench.call("POST", "/test").status == 409)
            #expect(try await bench.call("POST", "/retry").body == #"{"retried":0,"state":"disabled"}"#)
            #expect(shown["pending"]?.integer == 1)
            bench.receiver.status.change { $0 = 200 }
            let meanwhile = try await bench.tip()
            #expect(try await bench.call("PATCH", "", json: #"{"enabled":true}"#).json["state"]?.text == "enabled")
            let second = try await bench.receiver.received(2)
            #expect(second.headers["webhook-id"] == [meanwhile])
        }
    }
}
