import Testing
import TipwireCore
import TipwireHub
import TipwireWebhooks
import TipwireWire

@testable import TipwireServer

@Suite("The API of webhooks", .timeLimit(.minutes(1)))
struct SubscriptionsAPITests {
    private static let path = "/api/v1/subscriptions"
    private static let names = [
        "connection_id", "transport", "condition", "type", "version", "created_at", "page", "key_id", "state",
        "disabled_reason", "pending", "dead", "failing_since", "last_failure", "next_attempt_at", "paused_until",
        "previous_secret_expires_at",
    ]

    private func create(
        _ server: TestServer, _ more: String = "", page: String = "main", key: String? = nil
    ) async throws -> Reply {
        try await server.call(
            "POST", Self.path, key: key ?? server.admin,
            json: #"{"page":"\#(page)","callback":"https://203.0.114.1/a"\#(more)}"#)
    }

    private func make(_ server: TestServer, page: String = "main", key: String? = nil) async throws -> String {
        let reply = try await create(server, page: page, key: key)
        try #require(reply.status == 201, "\(reply.body)")
        return try #require(reply.json["connection_id"]?.text)
    }

    private func ids(_ server: TestServer, _ query: String = "", key: String? = nil) async throws -> [String] {
        let reply = try await server.call("GET", Self.path + query, key: key ?? server.admin)
        return (reply.json["data"]?.list ?? []).compactMap { $0["connection_id"]?.text }
    }

    // MARK: Life

    @Test("A webhook is made with all that it is, and its secret is shown then and never again")
    func creation() async throws {
        try await TestServer.run { server in
            let secret = "whsec_" + String(repeating: "QUJD", count: 8)
            let reply = try await create(
                server, #","condition":{"minimum_amount":"5.00"},"version":"1","secret":"\#(secret)""#)
            #expect(reply.status == 201 && reply.header("cache-control") == "no-store")
            #expect(reply.json.names == Self.names)
            #expect(reply.json["transport"]?.names == ["method", "callback", "secret"])
            #expect(reply.json["transport"]?["method"]?.text == "webhook")
            #expect(reply.json["transport"]?["callback"]?.text == "https://203.0.114.1/a")
            #expect(reply.json["transport"]?["secret"]?.text == secret)
            #expect(reply.json["condition"]?["minimum_amount"]?.text == "5.00")
            #expect(reply.json["type"]?.text == "alerts.notifications" && reply.json["version"]?.text == "1")
            #expect(reply.json["page"]?.text == "main" && reply.json["state"]?.text == "enabled")
            #expect(reply.json["pending"]?.integer == 0 && reply.json["dead"]?.integer == 0)
            let key = try #require(reply.json["key_id"]?.text)
            #expect(server.parts.directory.look { $0.key(key) } != nil)
            for name in [
                "disabled_reason", "failing_since", "last_failure", "next_attempt_at", "paused_until",
                "previous_secret_expires_at",
            ] {
                #expect(reply.json[name] == .null, "\(name)")
            }
            let id = try #require(reply.json["connection_id"]?.text)
            let made = try await create(server, #","type":"goals.queue""#)
            let random = try #require(made.json["transport"]?["secret"]?.text)
            #expect(random.hasPrefix("whsec_") && random != secret && made.json["condition"] == .null)

            let shown = try await server.call("GET", "\(Self.path)/\(id)", key: server.admin)
            #expect(shown.status == 200 && shown.json.names == Self.names)
            #expect(shown.json["transport"]?.names == ["method", "callback"])
            let list = try await server.call("GET", Self.path, key: server.admin)
            let disabled = try await server.call(
                "PATCH", "\(Self.path)/\(id)", key: server.admin, json: #"{"enabled":false}"#)
            let eventSub = try await server.call("GET", "/api/eventsub/list", key: server.admin)
            for body in [shown.body, list.body, disabled.body, eventSub.body] {
                #expect(body.contains(id) && !body.contains("whsec_"))
            }
            #expect(list.json["data"]?.list?.first == shown.json && list.json["next"] == .null)
        }
    }

    @Test(
        "What is wrong with a wish is named, and nothing of it is kept",
        arguments: [
            (#"{}"#, ["page", "callback"]),
            (#"{"page":"none","callback":"https://203.0.114.1/"}"#, ["page"]),
            (
                #"{"page":7,"callback":8,"type":9,"version":2,"condition":1,"secret":3}"#,
                ["page", "callback", "type", "version", "condition", "secret"]
            ),
            (
                #"{"page":"main","callback":"https://203.0.114.1/","type":"x","version":"2","more":1}"#,
                ["type", "version", "more"]
            ),
            (#"{"page":"main","callback":"https://203.0.114.1/","secret":"whsec_abc"}"#, ["secret"]),
            (
                #"{"page":"main","callback":"https://203.0.114.1/","condition":{"minimum_amount":"5.001"}}"#,
                ["condition/minimum_amount"]
            ),
            (
                #"{"page":"main","callback":"https://203.0.114.1/","condition":{"minimum_amount":5}}"#,
                ["condition/minimum_amount"]
            ),
            (#"{"page":"main","callback":"https://203.0.114.1/","condition":{"x":"5"}}"#, ["condition/x"]),
            (
                #"{"page":"main","callback":"https://203.0.114.1/","type":"goals.queue","condition":{"a":"5"}}"#,
                ["condition/a"]
            ),
            (#"{"page":"main","callback":"http://203.0.114.1/"}"#, ["callback"]),
            (#"{"page":"main","callback":"https://127.0.0.1/"}"#, ["callback"]),
            (#"{"page":"main","callback":"https://user@203.0.114.1/"}"#, ["callback"]),
        ])
    func invalid(json: String, fields: [String]) async throws {
        try await TestServer.run { server in
            let reply = try await server.call("POST", Self.path, key: server.admin, json: json)
            #expect(reply.status == 422 && Set(reply.badFields) == Set(fields), "\(reply.body)")
            #expect(try await ids(server) == [])
        }
    }

    @Test("A refused callback names its rule and the setting that can allow it")
    func callback() async throws {
        try await TestServer.run { server in
            for (callback, rule, setting) in [
                ("https://10.0.0.1/", "'private'", "webhooks.allowedNetworks"),
                ("http://203.0.114.1/", "http", "webhooks.allowHTTP"),
            ] {
                let reply = try await server.call(
                    "POST", Self.path, key: server.admin, json: #"{"page":"main","callback":"\#(callback)"}"#)
                let detail = reply.json["errors"]?.list?.first?["detail"]?.text ?? ""
                #expect(reply.status == 422 && detail.contains(rule) && detail.contains(setting), "\(detail)")
            }
        }
    }

    @Test("It is disabled and enabled, and says which it is, and is gone when it is deleted")
    func life() async throws {
        try await TestServer.run { server in
            let path = "\(Self.path)/\(try await make(server))"
            func change(_ json: String) async throws -> Reply {
                try await server.call("PATCH", path, key: server.admin, json: json)
            }
            for _ in 0..<2 {
                let disabled = try await change(#"{"enabled":false}"#)
                #expect(disabled.status == 200 && disabled.json.names == Self.names)
                #expect(disabled.json["state"]?.text == "disabled")
                #expect(disabled.json["disabled_reason"]?.text == "disabled by its owner")
            }
            let test = try await server.call("POST", "\(path)/test", key: server.admin)
            #expect(test.status == 409)
            for _ in 0..<2 {
                let enabled = try await change(#"{"enabled":true}"#)
                #expect(enabled.status == 200 && enabled.json["state"]?.text == "enabled")
                #expect(enabled.json["disabled_reason"] == .null)
            }
            for (json, field) in [("{}", "enabled"), (#"{"enabled":1}"#, "enabled"), (#"{"enabled":true,"x":1}"#, "x")]
            {
                let reply = try await change(json)
                #expect(reply.status == 422 && reply.badFields == [field])
            }
            let gone = try await server.call("DELETE", path, key: server.admin)
            #expect(gone.status == 204 && gone.body == "")
            #expect(try await server.call("GET", path, key: server.admin).status == 404)
            #expect(try await server.call("DELETE", path, key: server.admin).status == 404)
            #expect(try await ids(server) == [])
        }
    }

    @Test("A new secret is given or made, shown once, and the old one's end is told")
    func rotation() async throws {
        try await TestServer.run {
            $0.configuration.webhooks.secretOverlapSeconds = 60
        } _: { server in
            let id = try await make(server)
            let path = "\(Self.path)/\(id)/secret/rotate"
            let now = Int(server.parts.clock.now().unixSeconds)
            let made = try await server.call("POST", path, key: server.admin)
            #expect(made.status == 200 && made.json.names == ["connection_id", "secret", "previous_expires_at"])
            #expect(made.json["connection_id"]?.text == id)
            #expect((now + 60...now + 75).contains(made.json["previous_expires_at"]?.integer ?? 0))
            let secret = "whsec_" + String(repeating: "QUJD", count: 8)
            let given = try await server.call("POST", path, key: server.admin, json: #"{"secret":"\#(secret)"}"#)
            #expect(given.json["secret"]?.text == secret && made.json["secret"]?.text != secret)
            #expect(server.parts.webhooks.subscriptions[id]?.secrets.current.reveal() == secret)
            let shown = try await server.call("GET", "\(Self.path)/\(id)", key: server.admin)
            #expect(shown.json["previous_secret_expires_at"]?.integer == given.json["previous_expires_at"]?.integer)
            let ended = try await server.call(
                "POST", path, key: server.admin, json: #"{"expire_previous":true}"#)
            #expect(ended.status == 200 && ended.json["secret"]?.text != secret)
            #expect((now...now + 15).contains(ended.json["previous_expires_at"]?.integer ?? 0))
            let secrets = try #require(server.parts.webhooks.subscriptions[id]?.secrets)
            #expect(secrets.signing(at: server.parts.clock.now()).map { $0.reveal() } == [ended.json["secret"]?.text])
            let after = try await server.call("GET", "\(Self.path)/\(id)", key: server.admin)
            #expect(after.json["previous_secret_expires_at"] == .null)
            for (json, field) in [
                (#"{"secret":"x"}"#, "secret"), (#"{"secrets":1}"#, "secrets"),
                (#"{"expire_previous":"yes"}"#, "expire_previous"),
            ] {
                let reply = try await server.call("POST", path, key: server.admin, json: json)
                #expect(reply.status == 422 && reply.badFields == [field])
            }
        }
    }

    @Test("A list comes in pieces, in the order of their making")
    func paging() async throws {
        try await TestServer.run { server in
            var made: [String] = []
            for _ in 0..<5 { made.append(try await make(server)) }
            let first = try await server.call("GET", "\(Self.path)?limit=2", key: server.admin)
            #expect(first.json["next"]?.text == made[1])
            #expect(try await ids(server, "?limit=2") == Array(made[..<2]))
            #expect(try await ids(server, "?limit=2&after=\(made[1])") == Array(made[2..<4]))
            let last = try await server.call("GET", "\(Self.path)?limit=2&after=\(made[3])", key: server.admin)
            #expect(last.json["next"] == .null && last.json["data"]?.list?.count == 1)
            for (query, field) in [("limit=0", "limit"), ("after=x", "after")] {
                let reply = try await server.call("GET", "\(Self.path)?\(query)", key: server.admin)
                #expect(reply.status == 422 && reply.badFields == [field])
            }
        }
    }

    // MARK: Rights

    @Test("Every call needs the scope manage, and a webhook on a page of one's own")
    func rights() async throws {
        try await TestServer.run {
            $0.allowLoopback()
        } _: { server in
            // Nobody listens there.
            let made = try await server.call(
                "POST", Self.path, key: server.admin, json: #"{"page":"main","callback":"http://127.0.0.1:1/"}"#)
            let id = try #require(made.json["connection_id"]?.text)
            let test = try await server.call("POST", "\(Self.path)/\(id)/test", key: server.admin)
            let delivery = try #require(test.json["id"]?.text)
            let reader = try await server.maker.key(server.administrator, [.eventsRead, .tipsWrite, .eventsub])
            let stranger = try await server.maker.key(try await server.maker.account("eve"), [.manage])
            let calls: [(String, String, String?)] = [
                ("GET", "", nil), ("PATCH", "", #"{"enabled":false}"#), ("DELETE", "", nil),
                ("POST", "/secret/rotate", nil), ("POST", "/test", nil), ("POST", "/retry", nil),
                ("GET", "/deliveries", nil), ("GET", "/deliveries/\(delivery)", nil),
                ("POST", "/deliveries/\(delivery)/retry", nil),
            ]
            for (method, tail, json) in calls {
                let place = "\(method) \(tail)"
                let path = "\(Self.path)/\(id)\(tail)"
                #expect(try await server.call(method, path, json: json).status == 401, "\(place)")
                #expect(try await server.call(method, path, key: reader, json: json).status == 403, "\(place)")
                let foreign = try await server.call(method, path, key: stranger, json: json)
                let unknown = try await server.call(
                    method, "\(Self.path)/1-1-1:1-0123456789abcdef\(tail)", key: server.admin, json: json)
                #expect(foreign.status == 404 && foreign.body == unknown.body, "\(place)")
            }
            #expect(try await server.call("GET", Self.path, key: reader).status == 403)
            #expect(try await create(server, key: reader).status == 403)
            let refused = try await create(server, key: stranger)
            #expect(refused.status == 422 && refused.badFields == ["page"], "a page that can't be seen isn't there")
            #expect(try await ids(server, key: stranger) == [])
            let shown = try await server.call("GET", "\(Self.path)/\(id)", key: server.admin)
            #expect(shown.json["state"]?.text == "enabled", "none of it did anything")
        }
    }

    @Test("Members see the webhooks of their pages, a limited key those of its pages, and admin all")
    func visibility() async throws {
        try await TestServer.run { server in
            let bob = try await server.maker.account("bob")
            try await server.parts.directory.addMember(bob.id, to: server.side.id)
            let member = try await server.maker.key(bob, [.manage])
            let limited = try await server.maker.key(server.administrator, [.manage], pages: [server.main])
            let main = try await make(server)
            let side = try await make(server, page: "side", key: member)
            #expect(try await ids(server) == [main, side])
            #expect(try await ids(server, key: member) == [side])
            #expect(try await ids(server, key: limited) == [main])
            #expect(try await server.call("GET", "\(Self.path)/\(side)", key: limited).status == 404)
            #expect(try await create(server, page: "side", key: limited).badFields == ["page"])
            let eve = try await server.maker.account("eve")
            _ = try await server.maker.page("eves", owner: eve)
            let foreign = try await make(server, page: "eves")
            #expect(server.parts.webhooks.subscriptions[foreign]?.subscription.account == eve.id)
            #expect(try await ids(server) == [main, side, foreign])
        }
    }

    @Test("Who lost the page has a webhook no more: it is disabled, and can't be enabled")
    func lost() async throws {
        try await TestServer.run { server in
            let bob = try await server.maker.account("bob")
            try await server.parts.directory.addMember(bob.id, to: server.side.id)
            let id = try await make(server, page: "side", key: try await server.maker.key(bob, [.manage]))
            try await server.parts.directory.removeMember(bob.id, from: server.side.id)
            let path = "\(Self.path)/\(id)"
            let shown = try await server.call("GET", path, key: server.admin)
            #expect(shown.json["disabled_reason"]?.text == "no access to the page any more")
            let enabled = try await server.call("PATCH", path, key: server.admin, json: #"{"enabled":true}"#)
            #expect(enabled.status == 409)
            #expect(enabled.json["detail"]?.text?.contains("no access to the page any more") == true)
            #expect(try await server.call("GET", path, key: server.admin).json["state"]?.text == "disabled")
        }
    }

    @Test("With its key a webhook is disabled; enabled by another it is that one's")
    func revoked() async throws {
        try await TestServer.run { server in
            let key = try await server.maker.keyAndID(server.administrator, [.manage])
            let path = "\(Self.path)/\(try await make(server, key: key.text))"
            let gone = try await server.call("DELETE", "/api/v1/keys/\(key.id)", key: server.admin)
            #expect(gone.status == 204)
            let shown = try await server.call("GET", path, key: server.admin)
            #expect(shown.json["disabled_reason"]?.text == "key revoked")
            let enabled = try await server.call("PATCH", path, key: server.admin, json: #"{"enabled":true}"#)
            #expect(enabled.status == 200 && enabled.json["state"]?.text == "enabled")
        }
    }

    @Test("A key can't take over more webhooks than it may have")
    func takenOver() async throws {
        try await TestServer.run {
            $0.configuration.eventsub.maxPerKey = 1
        } _: { server in
            let key = try await server.maker.keyAndID(server.administrator, [.manage])
            let path = "\(Self.path)/\(try await make(server, key: key.text))"
            _ = try await server.call("DELETE", "/api/v1/keys/\(key.id)", key: server.admin)
            let own = try await make(server)
            let refused = try await server.call("PATCH", path, key: server.admin, json: #"{"enabled":true}"#)
            #expect(refused.status == 429)
            #expect(try await server.call("GET", path, key: server.admin).json["state"]?.text == "disabled")
            _ = try await server.call("DELETE", "\(Self.path)/\(own)", key: server.admin)
            let enabled = try await server.call("PATCH", path, key: server.admin, json: #"{"enabled":true}"#)
            #expect(enabled.json["state"]?.text == "enabled")
            #expect(try await create(server).status == 429, "now it has its place")
        }
    }

    @Test("Too many are 429 with a time to come back, and a refused one takes no place")
    func limits() async throws {
        try await TestServer.run {
            $0.configuration.eventsub.maxPerKey = 2
            $0.configuration.eventsub.maxCreationsPerMinute = 6
        } _: { server in
            let refused = #"{"page":"main","callback":"https://127.0.0.1/"}"#
            for _ in 0..<3 {
                #expect(try await server.call("POST", Self.path, key: server.admin, json: refused).status == 422)
            }
            // A callback that is refused for its text costs nothing.
            var statuses: [Int] = []
            for _ in 0..<4 {
                let reply = try await create(server)
                statuses.append(reply.status)
                if reply.status == 429 { #expect(Int(reply.header("retry-after") ?? "") ?? 0 > 0) }
            }
            #expect(statuses == [201, 201, 429, 429])
        }
    }
}
