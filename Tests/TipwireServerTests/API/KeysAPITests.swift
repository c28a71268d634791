import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("Keys by the API", .timeLimit(.minutes(1)))
struct KeysAPITests {
    @Test("A key is shown in plain once, and works at once")
    func create() async throws {
        try await TestServer.run { server async throws in
            let reply = try await server.call("POST", "/api/v1/keys", key: server.admin, json: #"{"name":"bot"}"#)
            #expect(reply.status == 201)
            #expect(
                reply.json.names == [
                    "id", "key", "prefix", "name", "scopes", "pages", "account", "createdAt", "expiresAt",
                ])
            let key = try #require(reply.json["key"]?.text)
            #expect(key.count == 67 && key.prefix(11) == reply.json["prefix"]?.text ?? "")
            #expect(reply.json["scopes"]?.list?.compactMap(\.text) == ["events:read"])
            #expect(reply.json["pages"] == .null && reply.json["expiresAt"] == .null)
            #expect(reply.json["account"]?.text == "admin")
            #expect(try await server.call("GET", "/api/v1/pages/main/tips", key: key).status == 200)
            let list = try await server.call("GET", "/api/v1/keys", key: server.admin)
            #expect(!list.body.contains(key) && !list.body.contains(server.admin))
            let shown = list.json["data"]?.list?.first { $0["id"] == reply.json["id"] }
            #expect(
                shown?.names == [
                    "id", "prefix", "name", "scopes", "pages", "account", "createdAt", "expiresAt", "lastUsedAt",
                ])
            #expect(shown?["lastUsedAt"]?.text?.hasSuffix("Z") == true)
        }
    }

    @Test("Scopes, pages, expiry and account can be said")
    func full() async throws {
        try await TestServer.run { server in
            _ = try await server.maker.account("ada")
            let reply = try await server.call(
                "POST", "/api/v1/keys", key: server.admin,
                json: """
                    {"name":"bot","scopes":["tips:write","events:read","tips:write"],"pages":["SIDE","main"],\
                    "expiresAt":"2999-01-01T00:00:00Z","account":"ada"}
                    """)
            #expect(reply.status == 201)
            #expect(reply.json["scopes"]?.list?.compactMap(\.text) == ["tips:write", "events:read"])
            #expect(reply.json["pages"]?.list?.compactMap(\.text) == ["main", "side"])
            #expect(reply.json["expiresAt"]?.text == "2999-01-01T00:00:00.000Z")
            #expect(reply.json["account"]?.text == "ada")
        }
    }

    @Test("Every bad field of one call is named")
    func errors() async throws {
        try await TestServer.run { server in
            for (json, fields) in [
                ("{}", ["name"]),
                (#"{"name":"","scope":"manage"}"#, ["name", "scope"]),
                (#"{"name":"x","scopes":[]}"#, ["scopes"]),
                (#"{"name":"x","scopes":["nope"],"pages":["nope"]}"#, ["scopes", "pages"]),
                (#"{"name":"x","scopes":"manage","pages":[],"account":"nobody"}"#, ["scopes", "pages", "account"]),
                (#"{"name":"x","scopes":[1],"expiresAt":"tomorrow"}"#, ["scopes", "expiresAt"]),
                (#"{"name":"x","expiresAt":"2001-01-01T00:00:00Z"}"#, ["expiresAt"]),
            ] {
                let reply = try await server.call("POST", "/api/v1/keys", key: server.admin, json: json)
                #expect(reply.status == 422 && Set(reply.badFields) == Set(fields), "\(json)")
            }
            let list = try await server.call("GET", "/api/v1/keys", key: server.admin)
            #expect(list.json["data"]?.list?.count == 1, "only the one that asked")
        }
    }

    @Test("A key grants only what it has: scopes, pages, account")
    func granting() async throws {
        try await TestServer.run { server in
            let ada = try await server.maker.account("ada")
            let key = try await server.maker.key(ada, [.manage, .eventsRead])
            func make(_ json: String, by key: String) async throws -> Reply {
                try await server.call("POST", "/api/v1/keys", key: key, json: json)
            }
            for scope in ["admin", "tips:write", "Funplace::eventsub", "overlay"] {
                let reply = try await make(#"{"name":"x","scopes":["\#(scope)"]}"#, by: key)
                #expect(reply.status == 422 && reply.badFields == ["scopes"], "\(scope)")
            }
            #expect(try await make(#"{"name":"x","scopes":["manage","events:read"]}"#, by: key).status == 201)
            #expect(try await make(#"{"name":"x","account":"admin"}"#, by: key).badFields == ["account"])
            #expect(try await make(#"{"name":"x","pages":["main"]}"#, by: key).badFields == ["pages"])

            let limited = try await server.maker.key(
                server.administrator, [.manage, .eventsRead], pages: [server.side])
            #expect(try await make(#"{"name":"x"}"#, by: limited).badFields == ["pages"])
            #expect(try await make(#"{"name":"x","pages":["side","main"]}"#, by: limited).badFields == ["pages"])
            #expect(try await make(#"{"name":"x","pages":["side"]}"#, by: limited).status == 201)
        }
    }

    @Test("A shorter eventsub scope grants the longer one")
    func nestedScope() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.key(server.administrator, [.manage, .eventsub])
            let reply = try await server.call(
                "POST", "/api/v1/keys", key: key, json: #"{"name":"x","scopes":["Funplace::eventsub::create"]}"#)
            #expect(reply.status == 201)
        }
    }

    @Test("A revoked key's feeds are closed before the answer, with 1008, and it opens nothing any more")
    func revoke() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.keyAndID(server.administrator)
            let feed = try await server.feed("auth=\(key.text)&channel=firehose")
            let other = try await server.feed("auth=\(server.admin)&channel=firehose")
            let reply = try await server.call("DELETE", "/api/v1/keys/\(key.id)", key: server.admin)
            #expect(reply.status == 204)
            #expect(await server.parts.fanout.connections().count == 1, "closed before the answer")
            let close = try await feed.frame()
            #expect(close.opcode == ServerFrame.close && close.closeCode == 1008)
            #expect(close.closeReason == "the key was revoked")
            try await feed.send(.close, ByteBuffer(bytes: [0x03, 0xF0]))
            #expect(await feed.rest() == "")
            #expect(try await server.call("GET", "/api/v1/pages/main/tips", key: key.text).status == 401)
            let late = try await server.connect()
            try await late.send(Handshake.request("/?auth=\(key.text)&channel=firehose"))
            #expect(await late.rest().hasPrefix("HTTP/1.1 401 "))
            try await other.sendText("ping")
            #expect(try await other.frame().text == "pong")
            #expect(try await server.call("DELETE", "/api/v1/keys/\(key.id)", key: server.admin).status == 404)
        }
    }

    @Test("Others' keys, and for a limited key those that reach further, are neither listed nor revoked")
    func visibility() async throws {
        try await TestServer.run { server in
            let ada = try await server.maker.account("ada")
            let hers = try await server.maker.keyAndID(ada, [.manage])
            let whole = try await server.maker.keyAndID(server.administrator, [.manage])
            let sides = try await server.maker.keyAndID(server.administrator, [.manage], pages: [server.side])
            func ids(by key: String) async throws -> Set<String> {
                let list = try await server.call("GET", "/api/v1/keys", key: key)
                return Set(list.json["data"]?.list?.compactMap { $0["id"]?.text } ?? [])
            }
            #expect(try await ids(by: hers.text) == [hers.id])
            #expect(try await ids(by: sides.text) == [sides.id])
            #expect(try await ids(by: whole.text).isSuperset(of: [whole.id, sides.id]))
            #expect(try await !ids(by: whole.text).contains(hers.id))
            #expect(try await ids(by: server.admin).isSuperset(of: [hers.id, whole.id, sides.id]))
            for (id, key) in [(hers.id, whole.text), (whole.id, sides.text), (whole.id, hers.text)] {
                #expect(try await server.call("DELETE", "/api/v1/keys/\(id)", key: key).status == 404)
            }
            #expect(try await server.call("DELETE", "/api/v1/keys/\(sides.id)", key: whole.text).status == 204)
        }
    }

    @Test("The list comes in pages")
    func paging() async throws {
        try await TestServer.run { server in
            for _ in 1...4 { _ = try await server.maker.key(server.administrator) }
            let first = try await server.call("GET", "/api/v1/keys?limit=3", key: server.admin)
            let next = try #require(first.json["next"]?.text)
            let second = try await server.call("GET", "/api/v1/keys?limit=3&after=\(next)", key: server.admin)
            let ids = [first, second].flatMap { $0.json["data"]?.list ?? [] }.compactMap { $0["id"]?.text }
            #expect(Set(ids).count == 5 && ids.count == 5)
            #expect(second.json["next"] == .null)
        }
    }
}
