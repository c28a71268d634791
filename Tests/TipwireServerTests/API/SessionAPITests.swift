import NIOCore
import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("A browser's session", .timeLimit(.minutes(1)))
struct SessionAPITests {
    /// The cookie's header line.
    private func cookie(_ server: TestServer, _ account: Account) async throws -> String {
        "Cookie: tipwire_session=\(try await server.parts.links.begin(account.id))\r\n"
    }

    private func origin(_ server: TestServer) -> String { "Origin: http://127.0.0.1:\(server.front.port)\r\n" }

    @Test("Reading needs the cookie alone; a change needs our own origin too")
    func changes() async throws {
        try await TestServer.run { server in
            let cookie = try await cookie(server, server.administrator)
            #expect(try await server.call("GET", "/api/v1/pages", headers: cookie).status == 200)
            let calls = [
                ("POST", "/api/v1/pages", #"{"slug":"new"}"#), ("PATCH", "/api/v1/pages/main", #"{"title":"x"}"#),
                ("PUT", "/api/v1/pages/main/members/admin", nil), ("DELETE", "/api/v1/pages/side?confirm=side", nil),
            ]
            for bad in ["", "Origin: null\r\n", "Origin: http://evil.test\r\n", "Origin: http://127.0.0.1:1\r\n"] {
                for (method, path, json) in calls {
                    let reply = try await server.call(method, path, json: json, headers: cookie + bad)
                    #expect(reply.status == 403, "\(method) \(path) \(bad)")
                }
            }
            var statuses: [Int] = []
            for (method, path, json) in calls {
                let reply = try await server.call(method, path, json: json, headers: cookie + origin(server))
                statuses.append(reply.status)
            }
            #expect(statuses == [201, 200, 204, 204])
        }
    }

    @Test("A key beside the cookie wins, and needs no origin")
    func keyWins() async throws {
        try await TestServer.run { server in
            let cookie = try await cookie(server, server.administrator)
            let reader = try await server.maker.key(server.administrator, [.eventsRead])
            #expect(try await server.call("GET", "/api/v1/pages", key: reader, headers: cookie).status == 403)
            #expect(
                try await server.call("PATCH", "/api/v1/pages/main", key: server.admin, json: "{}", headers: cookie)
                    .status == 200)
        }
    }

    @Test("A person has the rights of their account: all but admin, unless they are the administrator")
    func rights() async throws {
        try await TestServer.run { server in
            let ada = try await server.maker.account("ada")
            let hers = try await cookie(server, ada)
            #expect(try await server.call("GET", "/api/v1/accounts", headers: hers).status == 403)
            #expect(try await server.call("GET", "/api/v1/pages/main", headers: hers).status == 404)
            #expect(try await server.call("GET", "/api/v1/keys", headers: hers).status == 200)
            let admins = try await cookie(server, server.administrator)
            #expect(try await server.call("GET", "/api/v1/accounts", headers: admins).status == 200)
        }
    }

    private func signIn(
        _ server: TestServer, _ account: String, _ password: String, headers: String? = nil
    ) async throws -> Reply {
        try await server.call(
            "POST", "/api/v1/session", json: #"{"account":"\#(account)","password":"\#(password)"}"#,
            headers: headers ?? origin(server))
    }

    @Test("A password signs in, from our own page only")
    func signIn() async throws {
        try await TestServer.run { server in
            _ = try await server.maker.account("ada", password: try await Passwords().hash("correct horse"))
            for foreign in ["", "Origin: http://evil.test\r\n"] {
                #expect(try await signIn(server, "ada", "correct horse", headers: foreign).status == 403)
            }
            let good = try await signIn(server, "ADA", "correct horse")
            #expect(good.status == 204)
            let cookie = try #require(good.header("set-cookie")?.prefix { $0 != ";" })
            let session = try await server.call("GET", "/api/v1/session", headers: "Cookie: \(cookie)\r\n")
            #expect(session.json["account"]?.text == "ada")
            let missing = try await server.call("POST", "/api/v1/session", json: "{}", headers: origin(server))
            #expect(missing.status == 422 && missing.badFields == ["account", "password"])
        }
    }

    @Test("A wrong password, an account without one and no account get one answer, and too many of them 429")
    func guessing() async throws {
        try await TestServer.run {
            $0.configuration.auth.maxFailuresPerMinute = 3
        } _: { server in
            _ = try await server.maker.account("ada", password: try await Passwords().hash("correct horse"))
            var answers: Set<String> = []
            for (account, password) in [("ada", "correct horsf"), ("admin", "correct horse"), ("no", "correct horse")] {
                let reply = try await signIn(server, account, password)
                #expect(reply.status == 401 && reply.header("set-cookie") == nil)
                answers.insert(reply.body)
            }
            #expect(answers.count == 1)
            let throttled = try await signIn(server, "ada", "wrong horse")
            let status = throttled.status == 429 ? 429 : try await signIn(server, "ada", "wrong horse").status
            #expect(status == 429)
        }
    }

    @Test("Signing out ends the session and its feeds before the answer, and clears the cookie")
    func signOut() async throws {
        try await TestServer.run { server in
            let cookie = try await cookie(server, server.administrator)
            let feed = try await server.feed("channel=firehose", headers: cookie + "Origin: http://tipwire.test\r\n")
            let reply = try await server.call("DELETE", "/api/v1/session", headers: cookie + origin(server))
            #expect(reply.status == 204)
            #expect(reply.header("set-cookie")?.contains("Max-Age=0") == true)
            #expect(await server.parts.fanout.connections().isEmpty)
            #expect(try await feed.frame().closeCode == 1008)
            let after = try await server.call("GET", "/api/v1/pages", headers: cookie)
            #expect(after.status == 401 && after.header("www-authenticate") == "Bearer")
            let byKey = try await server.call("DELETE", "/api/v1/session", key: server.admin)
            #expect(byKey.status == 400)
        }
    }

    @Test("The front page is the dashboard to who is signed in, and a page that shows nothing to others")
    func home() async throws {
        try await TestServer.run { server in
            let outside = try await server.call("GET", "/")
            let inside = try await server.call("GET", "/", headers: try await cookie(server, server.administrator))
            #expect(outside.status == 200 && inside.status == 200 && outside.body != inside.body)
            for reply in [outside, inside] {
                #expect(reply.header("cache-control") == "no-store")
                let policy = reply.header("content-security-policy") ?? ""
                for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
                    #expect(policy.contains(part), "\(part)")
                }
            }
        }
    }

    @Test("The dashboard's files are there, typed, and not sent again to who has them")
    func assets() async throws {
        try await TestServer.run { server in
            for asset in Asset.parts {
                let reply = try await server.call("GET", "/assets/\(asset.name)")
                #expect(reply.status == 200 && reply.body == String(buffer: asset.bytes), "\(asset.name)")
                #expect(reply.header("content-type") == asset.mediaType)
                let tag = try #require(reply.header("etag"))
                let again = try await server.call("GET", "/assets/\(asset.name)", headers: "If-None-Match: \(tag)\r\n")
                #expect(again.status == 304 && again.body == "", "\(asset.name)")
            }
        }
    }
}
