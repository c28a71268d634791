import Testing
import TipwireCore
import TipwireWire

@testable import TipwireServer

@Suite("The API of goals", .timeLimit(.minutes(1)))
struct GoalsAPITests {
    private let path = "/api/v1/pages/main/goals"

    private func add(_ server: TestServer, _ description: String, _ cents: Int) async throws -> String {
        let reply = try await server.call(
            "POST", path, key: server.admin, json: #"{"description":"\#(description)","amountInCents":\#(cents)}"#)
        try #require(reply.status == 201)
        return try #require(reply.json["id"]?.text)
    }

    private func goals(_ server: TestServer) async throws -> [String] {
        let reply = try await server.call("GET", path, key: server.admin)
        #expect(reply.json["next"] == .null)
        return (reply.json["data"]?.list ?? []).map { goal in
            "\(goal["description"]?.text ?? "") \(goal["progressInCents"]?.integer ?? -1)/"
                + "\(goal["amountInCents"]?.integer ?? -1) \(goal["state"]?.text ?? "")"
        }
    }

    private func events(_ server: TestServer) async throws -> [JSONValue] {
        let reply = try await server.call("GET", "/api/v1/pages/main/events", key: server.admin)
        return reply.json["data"]?.list ?? []
    }

    @Test("A goal is made, listed, edited, moved and removed, each with one event that says why")
    func life() async throws {
        try await TestServer.run { server in
            let reply = try await server.call(
                "POST", path, key: server.admin, json: #"{"description":"Mic","amountInCents":2000}"#)
            #expect(reply.status == 201)
            #expect(
                reply.json.names == ["id", "description", "amountInCents", "progressInCents", "state"]
                    && reply.json["state"]?.text == "active")
            let mic = try #require(reply.json["id"]?.text)
            let light = try await add(server, "Light", 5_000)
            let edited = try await server.call(
                "PATCH", "\(path)/\(light)", key: server.admin, json: #"{"description":"Lights","amountInCents":null}"#)
            #expect(edited.status == 200 && edited.json["description"]?.text == "Lights")
            let moved = try await server.call(
                "PUT", "\(path)/order", key: server.admin, json: #"{"ids":["\#(light)","\#(mic)"]}"#)
            #expect(moved.status == 200 && moved.json["data"]?.list?.first?["id"]?.text == light)
            #expect(try await goals(server) == ["Lights 0/5000 active", "Mic 0/2000 queued"])
            #expect(try await server.call("DELETE", "\(path)/\(light)", key: server.admin).status == 204)
            #expect(try await goals(server) == ["Mic 0/2000 active"])
            let changes = try await events(server)
            #expect(changes.allSatisfy { $0["type"]?.text == "goal.queue" })
            #expect(
                changes.compactMap { $0["data"]?["change"]?["kind"]?.text }
                    == ["added", "added", "edited", "reordered", "removed"])
            #expect(changes[3]["data"]?["activeGoal"]?["id"]?.text == light)
        }
    }

    @Test("A tip says what it did to goals, and a refund takes it back once")
    func refund() async throws {
        try await TestServer.run { server in
            let mic = try await add(server, "Mic", 1_000)
            let light = try await add(server, "Light", 5_000)
            let tip = try await server.tip("main", #"{"grossAmountInCents":1500,"id":"a"}"#)
            #expect(
                tip.json["events"]?.list?.compactMap { $0["type"]?.text }
                    == ["tip.received", "goal.completed", "goal.queue"])
            let cursor = try #require(tip.json["events"]?.list?.last?["cursor"])
            #expect(tip.json["cursor"] == cursor)
            #expect(tip.json["events"]?.list?[0]["data"]?["goalId"]?.text == mic)
            #expect(try await goals(server) == ["Mic 1000/1000 completed", "Light 500/5000 active"])

            let refund = "/api/v1/pages/main/tips/a/refund"
            let first = try await server.call("POST", refund, key: server.admin)
            #expect(first.status == 200 && first.json.names == ["tip", "events", "cursor"])
            #expect(first.json["events"]?.list?.compactMap { $0["type"]?.text } == ["tip.refunded", "goal.queue"])
            let change = first.json["events"]?.list?[1]["data"]?["change"]
            #expect(change?["kind"]?.text == "refunded" && change?["tipId"]?.text == "a")
            #expect(change?["taken"]?.list?.first?["goalId"]?.text == light)
            let refundedAt = try #require(first.json["tip"]?["refundedAt"]?.text)
            #expect(try await goals(server) == ["Mic 1000/1000 completed", "Light 0/5000 active"])

            #expect(try await server.call("POST", refund, key: server.admin).body == first.body)
            #expect(try await goals(server) == ["Mic 1000/1000 completed", "Light 0/5000 active"])
            let list = try await server.call("GET", "/api/v1/pages/main/tips", key: server.admin)
            #expect(list.json["data"]?.list?.first?["refundedAt"]?.text == refundedAt)
            let repeated = try await server.call(
                "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":1500,"id":"a"}"#)
            #expect(repeated.status == 200 && repeated.json["tip"]?["refundedAt"] == .null)
            let replay = try await server.call("POST", "/api/v1/pages/main/tips/a/replay", key: server.admin)
            #expect(replay.status == 409)
            #expect(try await server.call("POST", "/api/v1/pages/main/tips/zz/refund", key: server.admin).status == 404)
        }
    }

    @Test("An adjustment is answered with the goal, and with its key as the first time")
    func adjust() async throws {
        try await TestServer.run { server in
            let mic = try await add(server, "Mic", 1_000)
            func adjust(_ json: String, key: String? = nil) async throws -> Reply {
                try await server.call(
                    "POST", "\(path)/\(mic)/adjust", key: server.admin, json: json,
                    headers: key.map { "Idempotency-Key: \($0)\r\n" } ?? "")
            }
            let first = try await adjust(#"{"amountInCents":400,"reason":"cash box"}"#, key: "k1")
            #expect(first.status == 200 && first.json.names == ["goal", "events", "cursor"])
            #expect(first.json["goal"]?["progressInCents"]?.integer == 400)
            let change = first.json["events"]?.list?.first?["data"]?["change"]
            #expect(change?["reason"]?.text == "cash box" && change?["amountInCents"]?.integer == 400)
            #expect(try await adjust(#"{"amountInCents":100,"reason":"more"}"#).status == 200)
            #expect(try await adjust(#"{"amountInCents":400,"reason":"cash box"}"#, key: "k1").body == first.body)
            #expect(try await adjust(#"{"amountInCents":400,"reason":"other"}"#, key: "k1").status == 409)
            #expect(try await goals(server) == ["Mic 500/1000 active"])

            let tip = try await server.call(
                "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":1}"#,
                headers: "Idempotency-Key: k1\r\n")
            #expect(tip.status == 409 && tip.badFields == ["Idempotency-Key"])
            for amount in [501, -502] {
                let reply = try await adjust(#"{"amountInCents":\#(amount),"reason":"r"}"#)
                #expect(reply.status == 422 && reply.badFields == ["amountInCents"])
            }
            #expect(
                try await adjust(#"{"amountInCents":500,"reason":"r"}"#).json["goal"]?["state"]?.text == "completed")
            #expect(try await adjust(#"{"amountInCents":-1,"reason":"r"}"#).status == 422)
        }
    }

    @Test("A stale order is refused with what happened since, for people and for programs")
    func staleOrder() async throws {
        try await TestServer.run { server in
            let done = try await add(server, "Done", 100)
            let old = try await add(server, "Old", 100)
            let kept = try await add(server, "Kept", 100)
            try await server.tip("main", #"{"grossAmountInCents":100}"#)
            #expect(try await server.call("DELETE", "\(path)/\(old)", key: server.admin).status == 204)
            let new = try await add(server, "New", 100)
            let reply = try await server.call(
                "PUT", "\(path)/order", key: server.admin, json: #"{"ids":["\#(old)","\#(kept)","\#(done)"]}"#)
            #expect(reply.status == 422 && reply.badFields == ["ids", "ids", "ids"])
            #expect(reply.json["added"]?.list?.compactMap(\.text) == [new])
            #expect(reply.json["removed"]?.list?.compactMap(\.text) == [old])
            #expect(reply.json["completed"]?.list?.compactMap(\.text) == [done])
            let details = (reply.json["errors"]?.list ?? []).compactMap { $0["detail"]?.text }
            #expect(
                details == [
                    "lacks '\(new)' (New), which was added", "names '\(old)', which was removed",
                    "names '\(done)' (Done), which is completed and keeps its place",
                ])
            #expect(try await goals(server) == ["Done 100/100 completed", "Kept 0/100 active", "New 0/100 queued"])
        }
    }

    @Test(
        "What is wrong with a goal is named, and nothing of it is kept",
        arguments: [
            (#"{}"#, ["description", "amountInCents"]),
            (#"{"description":" ","amountInCents":0}"#, ["description", "amountInCents"]),
            (#"{"description":"a\nb","amountInCents":10000000001}"#, ["description", "amountInCents"]),
            (#"{"description":7,"amountInCents":"5","goal":1}"#, ["description", "amountInCents", "goal"]),
            (#"{"description":"a","amountInCents":1.0}"#, ["amountInCents"]),
        ])
    func badGoals(json: String, fields: [String]) async throws {
        try await TestServer.run { server in
            let reply = try await server.call("POST", path, key: server.admin, json: json)
            #expect(reply.status == 422 && Set(reply.badFields) == Set(fields))
            let long = String(repeating: "x", count: 201)
            let tooLong = try await server.call(
                "POST", path, key: server.admin, json: #"{"description":"\#(long)","amountInCents":1}"#)
            #expect(tooLong.badFields == ["description"])
            #expect(try await goals(server) == [])
            #expect(try await events(server) == [])
        }
    }

    @Test("Every call needs the scope manage, a page of one's own, and a goal of that page")
    func rights() async throws {
        try await TestServer.run { server in
            let mic = try await add(server, "Mic", 1_000)
            let reader = try await server.maker.key(server.administrator, [.eventsRead, .tipsWrite])
            let stranger = try await server.maker.key(try await server.maker.account("eve"), [.manage])
            let calls: [(String, String, String?)] = [
                ("GET", path, nil), ("POST", path, #"{"description":"x","amountInCents":1}"#),
                ("PUT", "\(path)/order", #"{"ids":[]}"#), ("PATCH", "\(path)/\(mic)", "{}"),
                ("POST", "\(path)/\(mic)/adjust", #"{"amountInCents":1,"reason":"r"}"#),
                ("DELETE", "\(path)/\(mic)", nil), ("POST", "/api/v1/pages/main/tips/a/refund", nil),
            ]
            for (method, path, json) in calls {
                #expect(try await server.call(method, path, json: json).status == 401, "\(method) \(path)")
                #expect(try await server.call(method, path, key: reader, json: json).status == 403, "\(method) \(path)")
                #expect(
                    try await server.call(method, path, key: stranger, json: json).status == 404, "\(method) \(path)")
            }
            for (method, tail, json) in [
                ("PATCH", "", "{}"), ("DELETE", "", nil), ("POST", "/adjust", #"{"amountInCents":1,"reason":"r"}"#),
            ] {
                let elsewhere = "/api/v1/pages/side/goals/\(mic)\(tail)"
                #expect(try await server.call(method, elsewhere, key: server.admin, json: json).status == 404)
            }
            #expect(try await goals(server) == ["Mic 0/1000 active"])
        }
    }
}
