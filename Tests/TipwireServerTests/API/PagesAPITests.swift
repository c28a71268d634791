import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("Pages by the API", .timeLimit(.minutes(1)))
struct PagesAPITests {
    @Test("A page is made with its defaults, or with everything said")
    func create() async throws {
        try await TestServer.run { server in
            let plain = try await server.call("POST", "/api/v1/pages", key: server.admin, json: #"{"slug":"Ada"}"#)
            #expect(plain.status == 201)
            #expect(
                plain.json.names == [
                    "id", "slug", "title", "url", "currency", "profileId", "owner", "members", "createdAt",
                ])
            #expect(plain.json["slug"]?.text == "ada" && plain.json["title"]?.text == "ada")
            #expect(plain.json["url"]?.text == "http://127.0.0.1:\(server.front.port)/p/ada")
            #expect(plain.json["currency"]?.text == "USD" && plain.json["owner"]?.text == "admin")
            #expect(plain.json["createdAt"]?.text?.count == 24)
            let full = try await server.call(
                "POST", "/api/v1/pages", key: server.admin,
                json: #"{"slug":"b","title":"B's","url":"https://b.example/x","currency":"jpy","owner":null}"#)
            #expect(full.json["title"]?.text == "B's" && full.json["url"]?.text == "https://b.example/x")
            #expect(full.json["currency"]?.text == "JPY")
            #expect(full.json["profileId"]?.integer != plain.json["profileId"]?.integer)
            let shown = try await server.call("GET", "/api/v1/pages/B", key: server.admin)
            #expect(shown.status == 200 && shown.body == full.body)
        }
    }

    @Test("A taken slug is 409; every bad field of one call is named")
    func createErrors() async throws {
        try await TestServer.run { server in
            let taken = try await server.call("POST", "/api/v1/pages", key: server.admin, json: #"{"slug":"MAIN"}"#)
            #expect(taken.status == 409 && taken.badFields == ["slug"])
            let long = String(repeating: "x", count: 201)
            for (json, fields) in [
                ("{}", ["slug"]),
                (#"{"slug":7,"title":true}"#, ["slug", "title"]),
                (
                    #"{"slug":"a b","title":"\#(long)","url":"ftp://a","currency":"XXY","owner":"nobody","x":1}"#,
                    ["slug", "title", "url", "currency", "owner", "x"]
                ),
                (#"{"slug":"a","title":"a\nb"}"#, ["title"]),
                (#"{"slug":"a","url":"https://"}"#, ["url"]),
            ] {
                let reply = try await server.call("POST", "/api/v1/pages", key: server.admin, json: json)
                #expect(reply.status == 422 && Set(reply.badFields) == Set(fields), "\(json)")
            }
        }
    }

    @Test("A page for someone else needs admin")
    func owner() async throws {
        try await TestServer.run { server in
            let ada = try await server.maker.account("ada")
            let key = try await server.maker.key(ada, [.manage])
            let foreign = #"{"slug":"x","owner":"admin"}"#
            #expect(try await server.call("POST", "/api/v1/pages", key: key, json: foreign).status == 403)
            let own = try await server.call(
                "POST", "/api/v1/pages", key: key, json: #"{"slug":"x","owner":"ADA"}"#)
            #expect(own.status == 201 && own.json["owner"]?.text == "ada")
            let given = try await server.call(
                "POST", "/api/v1/pages", key: server.admin, json: #"{"slug":"y","owner":"ada"}"#)
            #expect(given.json["owner"]?.text == "ada")
        }
    }

    @Test("A page is changed in part, and the feeds tell of it as it is now")
    func update() async throws {
        try await TestServer.run { server in
            let reply = try await server.call(
                "PATCH", "/api/v1/pages/main", key: server.admin,
                json: #"{"title":"New","url":"https://n.example","currency":"EUR"}"#)
            #expect(reply.status == 200)
            #expect(reply.json["title"]?.text == "New" && reply.json["currency"]?.text == "EUR")
            let again = try await server.call(
                "PATCH", "/api/v1/pages/main", key: server.admin, json: #"{"title":null,"url":"https://m.example"}"#)
            #expect(again.json["title"]?.text == "New" && again.json["url"]?.text == "https://m.example")
            let feed = try await server.feed(of: server.main, key: server.admin)
            try await server.tip()
            let page = try await feed.frame().json["payload"]?["page"]
            #expect(page?["title"]?.text == "New" && page?["url"]?.text == "https://m.example")
        }
    }

    @Test("A slug can't be changed, and a currency not once there are tips")
    func updateErrors() async throws {
        try await TestServer.run { server in
            func patch(_ json: String, _ slug: String = "main") async throws -> Reply {
                try await server.call("PATCH", "/api/v1/pages/\(slug)", key: server.admin, json: json)
            }
            #expect(try await patch(#"{"slug":"x","owner":"admin"}"#).badFields == ["slug", "owner"])
            #expect(try await patch(#"{"title":" "}"#).status == 422)
            #expect(try await patch(#"{"title":"x"}"#, "nope").status == 404)
            try await server.tip()
            let currency = try await patch(#"{"currency":"EUR"}"#)
            #expect(currency.status == 422 && currency.badFields == ["currency"])
            #expect(try await patch(#"{"currency":"USD","title":"x"}"#).status == 200)
        }
    }

    @Test("A page is deleted only when its slug is said again; its feeds end, and it is gone")
    func delete() async throws {
        try await TestServer.run { server in
            for confirm in ["", "?confirm=", "?confirm=side"] {
                let reply = try await server.call("DELETE", "/api/v1/pages/main\(confirm)", key: server.admin)
                #expect(reply.status == 422 && reply.badFields == ["confirm"])
            }
            let feed = try await server.feed(of: server.main, key: server.admin)
            let reply = try await server.call("DELETE", "/api/v1/pages/main?confirm=MAIN", key: server.admin)
            #expect(reply.status == 204 && reply.body == "")
            #expect(try await feed.frame().closeCode == 1008)
            for path in ["", "/tips", "/events"] {
                #expect(try await server.call("GET", "/api/v1/pages/main\(path)", key: server.admin).status == 404)
            }
            let remade = try await server.call("POST", "/api/v1/pages", key: server.admin, json: #"{"slug":"main"}"#)
            #expect(remade.status == 201)
            #expect(remade.json["profileId"]?.integer != Int(server.main.id.rawValue), "a number is given once")
        }
    }

    @Test("A list comes in pages that neither repeat nor leave out")
    func paging() async throws {
        try await TestServer.run { server in
            for index in 1...5 { _ = try await server.maker.page("p\(index)", owner: server.administrator) }
            var slugs: [String] = []
            var after = ""
            var calls = 0
            repeat {
                let reply = try await server.call(
                    "GET", "/api/v1/pages?limit=3\(after)", key: server.admin)
                #expect(reply.json.names == ["data", "next"])
                slugs += reply.json["data"]?.list?.compactMap { $0["slug"]?.text } ?? []
                after = reply.json["next"]?.text.map { "&after=\($0)" } ?? ""
                calls += 1
            } while !after.isEmpty && calls < 9
            #expect(slugs == ["main", "side", "p1", "p2", "p3", "p4", "p5"])
            #expect(calls == 3)
            for limit in ["0", "1001", "-1", "x", ""] {
                let reply = try await server.call("GET", "/api/v1/pages?limit=\(limit)", key: server.admin)
                #expect(reply.status == 422 && reply.badFields == ["limit"], "\(limit)")
            }
            #expect(try await server.call("GET", "/api/v1/pages?limit=1000", key: server.admin).status == 200)
        }
    }
}
