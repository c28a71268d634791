import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("Tips by the API", .timeLimit(.minutes(1)))
struct TipsAPITests {
    private static let path = "/api/v1/pages/main/tips"

    private func post(_ server: TestServer, _ json: String, headers: String = "") async throws -> Reply {
        try await server.call("POST", Self.path, key: server.admin, json: json, headers: headers)
    }

    @Test("A tip is answered with itself, its event and its place in the log, and reaches the feed")
    func receive() async throws {
        try await TestServer.run { server in
            let feed = try await server.feed(of: server.main, key: server.admin)
            let reply = try await post(
                server,
                """
                {"displayName":"Grace","message":"Hi","grossAmountInCents":700,"processingFeeInCents":50,"id":"t1",\
                "createdAt":"2024-03-13T18:02:33.743Z"}
                """)
            #expect(reply.status == 201 && reply.json.names == ["tip", "events", "cursor"])
            let tip = try #require(reply.json["tip"])
            #expect(
                tip.names == [
                    "id", "page", "displayName", "message", "grossAmountInCents", "processingFeeInCents",
                    "netAmountInCents", "currency", "isAnonymous", "createdAt", "processedAt", "refundedAt",
                ])
            #expect(tip["id"]?.text == "t1" && tip["page"]?.text == "main" && tip["currency"]?.text == "USD")
            #expect(tip["netAmountInCents"]?.integer == 650 && tip["isAnonymous"]?.bool == false)
            #expect(tip["createdAt"]?.text == "2024-03-13T18:02:33.743Z" && tip["refundedAt"] == .null)
            let event = try #require(reply.json["events"]?.list?.first)
            #expect(event.names == ["cursor", "type", "page", "time", "data"])
            #expect(event["type"]?.text == "tip.received" && event["cursor"] == reply.json["cursor"])
            #expect(event["time"] == tip["processedAt"])
            let message = try await feed.frame().json
            #expect(message["cursor"] == reply.json["cursor"])
            #expect(message["payload"]?["campaignTip"]?["displayName"]?.text == "Grace")
        }
    }

    @Test("A tip without a name is anonymous, and one that says so loses it")
    func anonymous() async throws {
        try await TestServer.run { server in
            for json in [
                #"{"grossAmountInCents":1}"#, #"{"grossAmountInCents":1,"displayName":" "}"#,
                #"{"grossAmountInCents":1,"displayName":"Grace","isAnonymous":true}"#,
            ] {
                let reply = try await post(server, json)
                #expect(reply.json["tip"]?["displayName"]?.text == "")
                #expect(reply.json["tip"]?["isAnonymous"]?.bool == true)
                #expect(!reply.body.contains("Grace"))
            }
        }
    }

    @Test("Every bad field of one tip is named, and nothing of it is stored")
    func errors() async throws {
        try await TestServer.run { server in
            let name = String(repeating: "n", count: 101)
            for (json, fields) in [
                ("{}", ["grossAmountInCents"]),
                (
                    #"{"grossAmountInCents":0,"processingFeeInCents":1}"#,
                    ["grossAmountInCents", "processingFeeInCents"]
                ),
                (#"{"grossAmountInCents":5.0,"message":1}"#, ["grossAmountInCents", "message"]),
                (
                    """
                    {"grossAmountInCents":100000001,"displayName":"\(name)","message":"a\\u0000b","id":"a b",\
                    "createdAt":"1999-01-01T00:00:00Z","isAnonymous":"no","amount":5}
                    """,
                    [
                        "grossAmountInCents", "displayName", "message", "id", "createdAt", "isAnonymous", "amount",
                    ]
                ),
            ] {
                let reply = try await post(server, json)
                #expect(reply.status == 422 && Set(reply.badFields) == Set(fields), "\(reply.badFields)")
            }
            let list = try await server.call("GET", Self.path, key: server.admin)
            #expect(list.json["data"]?.list == [])
        }
    }

    @Test("The same id with the same content is 200 with the first answer; with other content 409")
    func idempotence() async throws {
        try await TestServer.run { server in
            let first = try await post(server, #"{"grossAmountInCents":5,"id":"a"}"#)
            let again = try await post(server, #"{"id":"a","grossAmountInCents":5,"message":null}"#)
            #expect(first.status == 201 && again.status == 200 && first.body == again.body)
            let other = try await post(server, #"{"grossAmountInCents":6,"id":"a"}"#)
            #expect(other.status == 409 && other.badFields == ["id"])
        }
    }

    @Test("An Idempotency-Key does the same for a tip without an id")
    func idempotencyKey() async throws {
        try await TestServer.run { server in
            let header = "Idempotency-Key: k1\r\n"
            let first = try await post(server, #"{"grossAmountInCents":5}"#, headers: header)
            let again = try await post(server, #"{"grossAmountInCents":5}"#, headers: header)
            #expect(first.status == 201 && again.status == 200 && first.body == again.body)
            let other = try await post(server, #"{"grossAmountInCents":6}"#, headers: header)
            #expect(other.status == 409 && other.badFields == ["Idempotency-Key"])
            let bad = try await post(server, #"{"grossAmountInCents":5}"#, headers: "Idempotency-Key: a b\r\n")
            #expect(bad.status == 422 && bad.badFields == ["Idempotency-Key"])
        }
    }

    @Test("A batch is kept whole, in order, its repeats answered as their first")
    func batch() async throws {
        try await TestServer.run { server in
            let first = #"{"grossAmountInCents":1,"id":"a"}"#
            let json = #"{"tips":[\#(first),{"grossAmountInCents":2},\#(first)]}"#
            let reply = try await server.call("POST", Self.path + ":batch", key: server.admin, json: json)
            #expect(reply.status == 201)
            let results = try #require(reply.json["results"]?.list)
            #expect(results.map { $0["tip"]?["grossAmountInCents"]?.integer } == [1, 2, 1])
            #expect(results[0] == results[2] && results[0]["cursor"] != results[1]["cursor"])
            let repeats = #"{"tips":[{"grossAmountInCents":1,"id":"a"}]}"#
            let again = try await server.call("POST", Self.path + ":batch", key: server.admin, json: repeats)
            #expect(again.status == 200)
        }
    }

    @Test("A batch with a bad tip stores nothing, and names each bad field with its tip")
    func badBatch() async throws {
        try await TestServer.run { server in
            func batch(_ json: String, headers: String = "") async throws -> Reply {
                try await server.call("POST", Self.path + ":batch", key: server.admin, json: json, headers: headers)
            }
            let good = #"{"grossAmountInCents":1,"id":"a"}"#
            let fields = try await batch(#"{"tips":[\#(good),{"grossAmountInCents":0,"id":""},5],"x":1}"#)
            #expect(fields.status == 422)
            #expect(Set(fields.badFields) == ["tips/1/grossAmountInCents", "tips/1/id", "tips/2", "x"])
            for json in ["{}", #"{"tips":[]}"#, #"{"tips":{}}"#] {
                #expect(try await batch(json).badFields == ["tips"], "\(json)")
            }
            let many = Array(repeating: good, count: 1_001).joined(separator: ",")
            #expect(try await batch(#"{"tips":[\#(many)]}"#).badFields == ["tips"])
            let header = try await batch(#"{"tips":[\#(good)]}"#, headers: "Idempotency-Key: k\r\n")
            #expect(header.status == 422 && header.badFields == ["Idempotency-Key"])
            #expect(try await post(server, good).status == 201, "nothing had been stored")
            let conflict = try await batch(#"{"tips":[{"grossAmountInCents":3},{"grossAmountInCents":2,"id":"a"}]}"#)
            #expect(conflict.status == 409 && conflict.badFields == ["tips/1/id"])
            let list = try await server.call("GET", Self.path, key: server.admin)
            #expect(list.json["data"]?.list?.count == 1)
        }
    }

    @Test("A batch may have 8 MiB, and not a byte more")
    func batchSize() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(
                server.request(
                    "POST", Self.path + ":batch", key: server.admin,
                    headers: "Content-Type: application/json\r\nContent-Length: \(8 * 1_024 * 1_024 + 1)\r\n"))
            #expect(try await wire.reply().status == 413)
            let json = #"{"tips":[{"grossAmountInCents":1}]}"# + String(repeating: " ", count: 100_000)
            let large = try await server.call("POST", Self.path + ":batch", key: server.admin, json: json)
            #expect(large.status == 201, "more than a single request's limit")
        }
    }

    @Test("The activity feed is newest first and comes in pages")
    func list() async throws {
        try await TestServer.run { server in
            for index in 1...5 { try await server.tip("main", #"{"grossAmountInCents":\#(index),"id":"t\#(index)"}"#) }
            try await server.tip("side", #"{"grossAmountInCents":9,"id":"other"}"#)
            var ids: [String] = []
            var after = ""
            for _ in 1...3 {
                let reply = try await server.call("GET", Self.path + "?limit=2\(after)", key: server.admin)
                ids += reply.json["data"]?.list?.compactMap { $0["id"]?.text } ?? []
                after = reply.json["next"]?.text.map { "&after=\($0)" } ?? ""
            }
            #expect(ids == ["t5", "t4", "t3", "t2", "t1"] && after.isEmpty)
            let bad = try await server.call("GET", Self.path + "?after=x", key: server.admin)
            #expect(bad.status == 422 && bad.badFields == ["after"])
        }
    }

    @Test("A tip is shown by its id; one that isn't there is 404")
    func show() async throws {
        try await TestServer.run { server in
            let posted = try await post(server, #"{"grossAmountInCents":5,"id":"a:b"}"#)
            let shown = try await server.call("GET", Self.path + "/a%3Ab", key: server.admin)
            #expect(shown.status == 200)
            // As it was answered first, and behind that what has become of it.
            let first = posted.body.dropFirst(#"{"tip":"#.count).prefix { $0 != "}" }
            #expect(shown.body == first + #","goals":[],"receipts":[],"deliveries":[]}"#)
            for id in ["nope", "a%20b", "%00"] {
                #expect(try await server.call("GET", Self.path + "/\(id)", key: server.admin).status == 404, "\(id)")
            }
            #expect(try await server.call("GET", "/api/v1/pages/side/tips/a:b", key: server.admin).status == 404)
        }
    }

    @Test("A replay is 202, sends the tip again to page and firehose, with a cursor of its own")
    func replay() async throws {
        try await TestServer.run { server in
            let posted = try await post(server, #"{"grossAmountInCents":5,"id":"a","displayName":"Grace"}"#)
            let page = try await server.feed(of: server.main, key: server.admin)
            let firehose = try await server.feed("auth=\(server.admin)&channel=firehose")
            let reply = try await server.call("POST", Self.path + "/a/replay", key: server.admin)
            #expect(reply.status == 202 && reply.json["tip"] == posted.json["tip"])
            #expect(reply.json["cursor"] != posted.json["cursor"])
            #expect(reply.json["events"]?.list?.first?["type"]?.text == "tip.replayed")
            let frames = [try await page.frame(), try await firehose.frame()]
            #expect(frames[0] == frames[1])
            #expect(frames[0].json["payload"]?["campaignTip"]?["id"]?.text == "a")
            #expect(frames[0].json["cursor"] == reply.json["cursor"])
            #expect(try await server.call("POST", Self.path + "/b/replay", key: server.admin).status == 404)
        }
    }
}
