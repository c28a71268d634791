import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("The log by the API, and feeds that resume from it", .timeLimit(.minutes(1)))
struct EventsAPITests {
    private func events(_ server: TestServer, _ query: String = "") async throws -> Reply {
        try await server.call("GET", "/api/v1/pages/main/events\(query)", key: server.admin)
    }

    private func ids(_ reply: Reply) -> [String] {
        reply.json["data"]?.list?.compactMap { $0["data"]?["id"]?.text } ?? []
    }

    @Test("It is read oldest first, a stretch at a time, and goes on where it ended")
    func read() async throws {
        try await TestServer.run { server in
            let empty = try await events(server)
            #expect(empty.status == 200 && empty.json.names == ["data", "next", "status"])
            #expect(empty.json["next"]?.text != nil && empty.json["status"]?.text == "resumed")
            for id in ["a", "b", "c"] { try await server.tip("main", #"{"grossAmountInCents":1,"id":"\#(id)"}"#) }
            try await server.tip("side", #"{"grossAmountInCents":1,"id":"other"}"#)
            let first = try await events(server, "?limit=2")
            #expect(ids(first) == ["a", "b"])
            let second = try await events(server, "?limit=2&since=\(try #require(first.json["next"]?.text))")
            #expect(ids(second) == ["c"])
            let third = try await events(server, "?since=\(try #require(second.json["next"]?.text))")
            #expect(ids(third) == [] && third.json["next"]?.text != nil)
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"d"}"#)
            let fourth = try await events(server, "?since=\(try #require(third.json["next"]?.text))")
            #expect(ids(fourth) == ["d"])
            let now = try await events(server, "?since=now")
            #expect(ids(now) == [] && now.json["next"] == fourth.json["next"])
        }
    }

    @Test("A position that means nothing here is 'reset' with nothing but the head", arguments: ["x", "0-1", "abc"])
    func reset(since: String) async throws {
        try await TestServer.run { server in
            let tip = try await server.tip()
            let reply = try await events(server, "?since=\(since)")
            #expect(reply.status == 200 && reply.json["status"]?.text == "reset")
            #expect(ids(reply) == [] && reply.json["next"] == tip.json["cursor"])
        }
    }

    @Test("A feed that resumes is told so first, then gets what it missed, then what comes, each once")
    func resume() async throws {
        try await TestServer.run { server in
            let first = try await server.tip("main", #"{"grossAmountInCents":1,"id":"a"}"#)
            let cursor = try #require(first.json["cursor"]?.text)
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"b"}"#)
            try await server.tip("side", #"{"grossAmountInCents":1,"id":"other"}"#)
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"c"}"#)
            let feed = try await server.feed(
                "auth=\(server.admin)&channel=activity-feed&room=main&since=\(cursor)")
            let resumed = try await feed.frame()
            #expect(
                resumed.text
                    == #"{"type":"feed.resumed","payload":{"status":"resumed","cursor":"\#(cursor)"}}"#)
            var ids: [String?] = []
            for _ in 1...2 { ids.append(try await feed.frame().json["payload"]?["campaignTip"]?["id"]?.text) }
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"d"}"#)
            ids.append(try await feed.frame().json["payload"]?["campaignTip"]?["id"]?.text)
            #expect(ids == ["b", "c", "d"])
        }
    }

    @Test("A feed that resumes from nonsense is told 'reset' and starts live")
    func resumeFromNonsense() async throws {
        try await TestServer.run { server in
            let head = try await server.tip()
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose&since=nonsense")
            let resumed = try await feed.frame().json["payload"]
            #expect(resumed?["status"]?.text == "reset" && resumed?["cursor"] == head.json["cursor"])
            let next = try await server.tip("main", #"{"grossAmountInCents":1,"id":"n"}"#)
            #expect(try await feed.frame().json["cursor"] == next.json["cursor"])
        }
    }
}
