import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("Connections by the API", .timeLimit(.minutes(1)))
struct ConnectionsAPITests {
    private func list(_ server: TestServer, _ key: String, _ query: String = "") async throws -> Reply {
        try await server.call("GET", "/api/v1/connections\(query)", key: key)
    }

    @Test("Each listener is shown with what it hears, whose it is and what it got, and no secret")
    func shown() async throws {
        try await TestServer.run { server in
            #expect(try await list(server, server.admin).json["data"]?.list == [])
            let key = try await server.maker.keyAndID(server.administrator)
            let page = try await server.feed(of: server.main, key: key.text)
            let all = try await server.feed("auth=\(key.text)&channel=firehose")
            try await server.tip()
            _ = try await page.frame()
            _ = try await all.frame()
            let reply = try await list(server, server.admin)
            let rows = try #require(reply.json["data"]?.list)
            #expect(rows.count == 2)
            #expect(
                rows[0].names == [
                    "id", "kind", "channel", "page", "account", "keyId", "keyName", "remoteAddress", "connectedAt",
                    "deliveries", "lagEvents", "lagBytes",
                ])
            let feed = try #require(rows.first { $0["channel"]?.text == "activity-feed" })
            #expect(feed["page"]?.text == "main" && feed["account"]?.text == "admin")
            #expect(feed["keyId"]?.text == key.id && feed["keyName"]?.text == "test")
            #expect(feed["remoteAddress"]?.text == "127.0.0.1")
            #expect(feed["deliveries"]?.integer == 1 && feed["lagEvents"]?.integer == 0)
            let firehose = try #require(rows.first { $0["channel"]?.text == "firehose" })
            #expect(firehose["page"] == .null && firehose["deliveries"]?.integer == 1)
            #expect(!reply.body.contains(key.text))
            let first = try await list(server, server.admin, "?limit=1")
            let next = try #require(first.json["next"]?.text)
            let second = try await list(server, server.admin, "?limit=1&after=\(next)")
            #expect(second.json["data"]?.list == [rows[1]] && second.json["next"] == .null)
        }
    }

    @Test("A connection is cut with 1008 before the answer; an unknown one is 404")
    func cut() async throws {
        try await TestServer.run { server in
            let feed = try await server.feed("auth=\(server.admin)&channel=firehose")
            let id = try #require(try await list(server, server.admin).json["data"]?.list?.first?["id"]?.text)
            #expect(try await server.call("DELETE", "/api/v1/connections/\(id)", key: server.admin).status == 204)
            #expect(await server.parts.fanout.connections().isEmpty)
            let close = try await feed.frame()
            #expect(close.closeCode == 1008 && close.closeReason == "closed by the owner")
            for id in [id, "0", "-1", "x"] {
                #expect(try await server.call("DELETE", "/api/v1/connections/\(id)", key: server.admin).status == 404)
            }
        }
    }

    @Test("One sees and cuts those that hear one's own pages, and no others")
    func visibility() async throws {
        try await TestServer.run { server in
            let ada = try await server.maker.account("ada")
            let bob = try await server.maker.account("bob")
            let adas = try await server.maker.page("adas", owner: ada)
            try await server.parts.directory.addMember(bob.id, to: adas.id)
            let feeds = [
                try await server.feed("auth=\(server.admin)&channel=firehose"),
                try await server.feed(of: server.main, key: server.admin),
                try await server.feed(of: adas, key: try await server.maker.key(bob)),
            ]
            let key = try await server.maker.key(ada, [.manage])
            let limited = try await server.maker.key(server.administrator, [.manage], pages: [server.main])
            func shown(by key: String) async throws -> [String] {
                try await list(server, key).json["data"]?.list?
                    .map { $0["page"]?.text ?? $0["channel"]?.text ?? "" }.sorted() ?? []
            }
            #expect(try await shown(by: key) == ["adas"])
            #expect(try await shown(by: limited) == ["main"])
            #expect(try await shown(by: server.admin) == ["adas", "firehose", "main"])
            let rows = try #require(try await list(server, server.admin).json["data"]?.list)
            for row in rows where row["page"]?.text != "adas" {
                let id = row["id"]?.text ?? ""
                #expect(try await server.call("DELETE", "/api/v1/connections/\(id)", key: key).status == 404)
            }
            #expect(await server.parts.fanout.connections().count == 3)
            withExtendedLifetime(feeds) {}
        }
    }
}
