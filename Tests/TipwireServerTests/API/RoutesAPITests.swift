import Testing
import TipwireCore

@testable import TipwireServer

@Suite("What every call has in common", .timeLimit(.minutes(1)))
struct RoutesAPITests {
    @Test("No key and a bad key are 401 with a challenge, on every route that needs one")
    func unauthorized() async throws {
        try await TestServer.run { server in
            for (method, path) in [
                ("GET", "/api/v1/pages"), ("POST", "/api/v1/pages"), ("GET", "/api/v1/pages/main"),
                ("PATCH", "/api/v1/pages/main"), ("DELETE", "/api/v1/pages/main?confirm=main"),
                ("PUT", "/api/v1/pages/main/members/admin"), ("DELETE", "/api/v1/pages/main/members/admin"),
                ("POST", "/api/v1/pages/main/tips"), ("POST", "/api/v1/pages/main/tips:batch"),
                ("GET", "/api/v1/pages/main/tips"), ("GET", "/api/v1/pages/main/tips/a"),
                ("POST", "/api/v1/pages/main/tips/a/replay"), ("GET", "/api/v1/pages/main/events"),
                ("GET", "/api/v1/keys"), ("POST", "/api/v1/keys"), ("DELETE", "/api/v1/keys/a"),
                ("GET", "/api/v1/accounts"), ("POST", "/api/v1/accounts"), ("POST", "/api/v1/accounts/admin/link"),
                ("GET", "/api/v1/connections"), ("DELETE", "/api/v1/connections/1"), ("GET", "/api/v1/session"),
                ("DELETE", "/api/v1/session"), ("GET", "/metrics"),
            ] {
                for key in [nil, "nonsense"] {
                    let reply = try await server.call(method, path, key: key)
                    #expect(reply.status == 401, "\(method) \(path)")
                    #expect(reply.header("www-authenticate") == "Bearer", "\(method) \(path)")
                }
            }
            let page = try await server.call("GET", "/api/v1/pages/main", key: server.admin)
            #expect(page.status == 200, "nothing was changed")
        }
    }

    @Test("A key without the scope is 403, whatever else it has")
    func forbidden() async throws {
        try await TestServer.run { server in
            let reader = try await server.maker.key(server.administrator, [.eventsRead])
            let writer = try await server.maker.key(server.administrator, [.tipsWrite])
            let manager = try await server.maker.key(server.administrator, [.manage])
            for (method, path, key) in [
                ("GET", "/api/v1/pages", reader), ("POST", "/api/v1/pages", writer),
                ("PUT", "/api/v1/pages/main/members/admin", reader), ("POST", "/api/v1/pages/main/tips", reader),
                ("POST", "/api/v1/pages/main/tips", manager), ("POST", "/api/v1/pages/main/tips:batch", manager),
                ("GET", "/api/v1/pages/main/tips", writer), ("GET", "/api/v1/pages/main/tips/a", manager),
                ("GET", "/api/v1/pages/main/events", manager),
                ("POST", "/api/v1/pages/main/tips/a/replay", writer), ("GET", "/api/v1/keys", reader),
                ("POST", "/api/v1/keys", reader), ("GET", "/api/v1/connections", reader),
                ("GET", "/api/v1/accounts", manager), ("POST", "/api/v1/accounts", manager),
                ("POST", "/api/v1/accounts/admin/link", manager), ("GET", "/metrics", manager),
            ] {
                #expect(try await server.call(method, path, key: key).status == 403, "\(method) \(path)")
            }
        }
    }

    @Test("An unknown address is 404; a wrong method is 405 with the right ones")
    func methods() async throws {
        try await TestServer.run { server in
            for (method, path, allowed) in [
                ("PUT", "/api/v1/pages", "GET, HEAD, OPTIONS, POST"),
                ("POST", "/api/v1/pages/main", "DELETE, GET, HEAD, OPTIONS, PATCH"),
                ("PATCH", "/api/v1/pages/main/tips", "GET, HEAD, OPTIONS, POST"),
                ("GET", "/api/v1/pages/main/tips:batch", "OPTIONS, POST"),
                ("GET", "/api/v1/pages/main/tips/a/replay", "OPTIONS, POST"),
                ("GET", "/api/v1/keys/a", "DELETE, OPTIONS"),
                ("PUT", "/api/v1/session", "DELETE, GET, HEAD, OPTIONS, POST"),
                ("POST", "/health", "GET, HEAD, OPTIONS"),
                ("DELETE", "/", "GET, HEAD, OPTIONS"),
            ] {
                let reply = try await server.call(method, path, key: server.admin)
                #expect(reply.status == 405, "\(method) \(path)")
                #expect(reply.header("allow") == allowed, "\(method) \(path)")
                #expect(reply.header("content-type") == "application/problem+json")
            }
            for path in ["/api/v1", "/api/v1/page", "/api/v1/pages/main/nope", "/assets/none.js", "/.git/config"] {
                let reply = try await server.call("GET", path, key: server.admin)
                #expect(reply.status == 404 && reply.header("allow") == nil, "\(path)")
            }
            let unknown = try await server.call("GET", "/api/v1/pages/nope", key: server.admin)
            #expect(unknown.status == 404, "a page that isn't there is no wrong method")
        }
    }

    @Test("OPTIONS says which methods an address takes, and of '*' those of the server; neither needs a key")
    func options() async throws {
        try await TestServer.run { server in
            for (path, allowed) in [
                ("/health", "GET, HEAD, OPTIONS"), ("/api/v1/pages/main", "DELETE, GET, HEAD, OPTIONS, PATCH"),
                ("/api/eventsub/create", "GET, OPTIONS, POST"),
                ("*", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
            ] {
                let reply = try await server.call("OPTIONS", path)
                #expect(reply.status == 204 && reply.header("allow") == allowed, "\(path)")
                #expect(reply.header("content-length") == nil)
            }
            #expect(try await server.call("OPTIONS", "/nowhere").status == 404)
        }
    }

    @Test("HEAD is GET without the body, its length said")
    func head() async throws {
        try await TestServer.run { server in
            for path in ["/health", "/api/v1/pages", "/api/v1/pages/main", "/", "/api/v1/pages/nope", "/nowhere"] {
                let get = try await server.call("GET", path, key: server.admin)
                let wire = try await server.connect()
                try await wire.send(
                    server.request("HEAD", path, key: server.admin) + server.request("GET", "/health"))
                let head = try await wire.reply(isHead: true)
                #expect(head.status == get.status, "\(path)")
                #expect(head.header("content-type") == get.header("content-type"), "\(path)")
                #expect(head.header("content-length") == get.header("content-length"), "\(path)")
                #expect(try await wire.reply().body == "ok\n", "there was a body behind the HEAD of \(path)")
            }
        }
    }

    @Test("A body must be JSON, said to be JSON, and not too large")
    func bodies() async throws {
        try await TestServer.run { server async throws in
            let path = "/api/v1/pages"
            func post(_ type: String?, _ body: String) async throws -> Reply {
                let headers = (type.map { "Content-Type: \($0)\r\n" } ?? "") + "Content-Length: \(body.utf8.count)\r\n"
                let wire = try await server.connect()
                try await wire.send(server.request("POST", path, key: server.admin, headers: headers) + body)
                return try await wire.reply()
            }
            let good = #"{"slug":"a"}"#
            for type in [nil, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
                #expect(try await post(type, good).status == 415, "\(type ?? "none")")
            }
            for text in ["", "{", "{\"slug\":\"a\"} x", "{\"slug\":\"a\",\"slug\":\"b\"}", "{'slug':'a'}"] {
                #expect(try await post("application/json", text).status == 400, "\(text)")
            }
            for text in ["[]", "1", "null", "\"slug\""] {
                #expect(try await post("application/json", text).status == 422, "\(text)")
            }
            let large = #"{"slug":"a","title":""# + String(repeating: "x", count: 65_536) + #""}"#
            #expect(try await post("application/json", large).status == 413)
            let largest = good + String(repeating: " ", count: 65_536 - good.utf8.count)
            #expect(try await post("APPLICATION/JSON; charset=utf-8", largest).status == 201)
        }
    }

    @Test("A body without a length is cut at the same limit")
    func chunkedBody() async throws {
        try await TestServer.run { server in
            let wire = try await server.connect()
            try await wire.send(
                server.request(
                    "POST", "/api/v1/pages", key: server.admin,
                    headers: "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"))
            let chunk = "8000\r\n" + String(repeating: " ", count: 0x8000) + "\r\n"
            try await wire.send(chunk + chunk + chunk)
            #expect(try await wire.reply().status == 413)
        }
    }

    @Test("A bad key from one address too often is 429, while a good one passes")
    func throttled() async throws {
        try await TestServer.run {
            $0.configuration.auth.maxFailuresPerMinute = 2
        } _: { server in
            for expected in [401, 401, 429, 429] {
                let reply = try await server.call("GET", "/api/v1/pages", key: "bad")
                #expect(reply.status == expected)
                #expect((reply.header("retry-after") != nil) == (expected == 429))
            }
            #expect(try await server.call("GET", "/api/v1/pages", key: server.admin).status == 200)
            #expect(try await server.call("GET", "/api/v1/pages").status == 401)
            // The feed's door counts the same failures.
            let wire = try await server.connect()
            try await wire.send(Handshake.request("/?auth=bad&channel=firehose"))
            #expect(await wire.rest().hasPrefix("HTTP/1.1 429 "))
        }
    }

    @Test("Behind a trusted proxy each client counts for itself; nobody else's word is taken")
    func proxied() async throws {
        try await TestServer.run {
            $0.configuration.auth.maxFailuresPerMinute = 1
            $0.configuration.server.trustedProxies = [AddressRange("127.0.0.0/8")!]
        } _: { server in
            func get(_ client: String) async throws -> Int {
                let header = "X-Forwarded-For: 1.1.1.1, \(client)\r\n"
                return try await server.call("GET", "/api/v1/pages", key: "bad", headers: header).status
            }
            let statuses = [try await get("203.0.113.1"), try await get("203.0.113.1"), try await get("203.0.113.2")]
            #expect(statuses == [401, 429, 401])
            let feed = try await server.feed(
                "auth=\(server.admin)&channel=firehose", headers: "X-Forwarded-For: 203.0.113.3\r\n")
            let row = try await server.call("GET", "/api/v1/connections", key: server.admin).json["data"]?.list?.first
            #expect(row?["remoteAddress"]?.text == "203.0.113.3")
            withExtendedLifetime(feed) {}
        }
    }
}
