import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("Who may do what to a page", .timeLimit(.minutes(1)))
struct RightsAPITests {
    private static let tip = #"{"grossAmountInCents":500,"id":"t1"}"#

    private func status(
        _ server: TestServer, _ method: String, _ path: String, _ key: String, _ json: String? = nil
    ) async throws -> Int {
        try await server.call(method, "/api/v1/pages\(path)", key: key, json: json).status
    }

    private func slugs(_ server: TestServer, _ key: String) async throws -> [String] {
        try await server.call("GET", "/api/v1/pages", key: key).json["data"]?.list?.compactMap { $0["slug"]?.text }
            ?? []
    }

    @Test("A stranger sees nothing: not visible is the same as not there")
    func stranger() async throws {
        try await TestServer.run { server in
            let eve = try await server.maker.account("eve")
            let key = try await server.maker.key(eve, [.manage, .eventsRead, .tipsWrite])
            #expect(try await slugs(server, key) == [])
            for (method, path, json) in [
                ("GET", "", nil), ("PATCH", "", #"{"title":"x"}"#), ("DELETE", "?confirm=main", nil),
                ("PUT", "/members/eve", nil), ("DELETE", "/members/eve", nil), ("POST", "/tips", Self.tip),
                ("POST", "/tips:batch", #"{"tips":[]}"#), ("GET", "/tips", nil), ("GET", "/tips/t1", nil),
                ("POST", "/tips/t1/replay", nil), ("GET", "/events", nil),
            ] as [(String, String, String?)] {
                let foreign = try await server.call(method, "/api/v1/pages/main\(path)", key: key, json: json)
                let unknown = try await server.call(
                    method, "/api/v1/pages/none\(path)".replacing("=main", with: "=none"), key: key, json: json)
                #expect(foreign.status == 404, "\(method) \(path)")
                #expect(foreign.body == unknown.body.replacing("none", with: "main"), "\(method) \(path)")
            }
        }
    }

    @Test("A member may do what the owner may, but delete the page or change its members")
    func member() async throws {
        try await TestServer.run { server in
            let bob = try await server.maker.account("bob")
            let key = try await server.maker.key(bob, [.manage, .eventsRead, .tipsWrite])
            #expect(try await status(server, "PUT", "/main/members/bob", server.admin) == 204)
            #expect(try await status(server, "PUT", "/main/members/bob", server.admin) == 204)
            let page = try await server.call("GET", "/api/v1/pages/main", key: key)
            #expect(page.json["members"]?.list?.compactMap(\.text) == ["bob"])
            #expect(page.json["owner"]?.text == "admin")
            #expect(try await slugs(server, key) == ["main"])
            #expect(try await status(server, "PATCH", "/main", key, #"{"title":"x"}"#) == 200)
            #expect(try await status(server, "POST", "/main/tips", key, Self.tip) == 201)
            #expect(try await status(server, "GET", "/main/tips", key) == 200)
            #expect(try await status(server, "GET", "/main/events", key) == 200)
            #expect(try await status(server, "POST", "/main/tips/t1/replay", key) == 202)
            #expect(try await status(server, "DELETE", "/main?confirm=main", key) == 403)
            #expect(try await status(server, "PUT", "/main/members/bob", key) == 403)
            #expect(try await status(server, "DELETE", "/main/members/bob", key) == 403)
            #expect(try await status(server, "GET", "/side", key) == 404)
        }
    }

    @Test("A removed member is out at once: calls are 404, feeds of the page end before the 204")
    func removal() async throws {
        try await TestServer.run { server in
            let bob = try await server.maker.account("bob")
            let key = try await server.maker.key(bob, [.manage, .eventsRead])
            #expect(try await status(server, "PUT", "/main/members/bob", server.admin) == 204)
            let feed = try await server.feed(of: server.main, key: key)
            let owner = try await server.feed(of: server.main, key: server.admin)
            #expect(try await status(server, "DELETE", "/main/members/bob", server.admin) == 204)
            #expect(await server.parts.fanout.connections().count == 1, "closed before the answer")
            #expect(try await feed.frame().closeCode == 1008)
            #expect(try await status(server, "GET", "/main", key) == 404)
            #expect(try await status(server, "DELETE", "/main/members/bob", server.admin) == 204)
            try await owner.sendText("ping")
            #expect(try await owner.frame().text == "pong")
        }
    }

    @Test("A member who isn't an account is 404")
    func unknownMember() async throws {
        try await TestServer.run { server async throws in
            #expect(try await status(server, "PUT", "/main/members/nobody", server.admin) == 404)
            #expect(try await status(server, "PUT", "/nope/members/admin", server.admin) == 404)
        }
    }

    @Test("Admin sees and changes every account's pages")
    func admin() async throws {
        try await TestServer.run { server in
            let ada = try await server.maker.account("ada")
            _ = try await server.maker.page("adas", owner: ada)
            #expect(try await slugs(server, server.admin) == ["main", "side", "adas"])
            #expect(try await status(server, "PATCH", "/adas", server.admin, #"{"title":"x"}"#) == 200)
            #expect(try await status(server, "POST", "/adas/tips", server.admin, Self.tip) == 201)
            #expect(try await status(server, "PUT", "/adas/members/admin", server.admin) == 204)
            #expect(try await status(server, "DELETE", "/adas?confirm=adas", server.admin) == 204)
        }
    }

    @Test("A key that is limited to pages sees only these, and makes none")
    func limited() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.key(
                server.administrator, [.manage, .eventsRead, .tipsWrite], pages: [server.side])
            #expect(try await slugs(server, key) == ["side"])
            #expect(try await status(server, "GET", "/main", key) == 404)
            #expect(try await status(server, "POST", "/main/tips", key, Self.tip) == 404)
            #expect(try await status(server, "GET", "/main/events", key) == 404)
            #expect(try await status(server, "POST", "/side/tips", key, Self.tip) == 201)
            #expect(try await status(server, "POST", "", key, #"{"slug":"new"}"#) == 403)
            #expect(try await status(server, "GET", "/new", server.admin) == 404)
            // Even with the scope admin.
            let admin = try await server.maker.key(server.administrator, [.admin], pages: [server.side])
            #expect(try await slugs(server, admin) == ["side"])
            #expect(try await status(server, "DELETE", "/main?confirm=main", admin) == 404)
        }
    }

    @Test("The firehose of a limited key leaves the other pages out")
    func limitedFirehose() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.key(server.administrator, pages: [server.side])
            let feed = try await server.feed("auth=\(key)&channel=firehose")
            try await server.tip("main")
            try await server.tip("side")
            #expect(try await feed.frame().json["payload"]?["page"]?["slug"]?.text == "side")
        }
    }
}
