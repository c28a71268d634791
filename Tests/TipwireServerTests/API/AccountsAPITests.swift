import Testing
import TipwireCore
import TipwireHub

@testable import TipwireServer

@Suite("Accounts by the API", .timeLimit(.minutes(1)))
struct AccountsAPITests {
    @Test("An account is made, listed, and never shown with its password")
    func create() async throws {
        try await TestServer.run { server in
            let reply = try await server.call(
                "POST", "/api/v1/accounts", key: server.admin, json: #"{"name":"Ada","password":"correct horse"}"#)
            #expect(reply.status == 201 && reply.json.names == ["id", "name", "createdAt"])
            #expect(reply.json["name"]?.text == "ada")
            let list = try await server.call("GET", "/api/v1/accounts", key: server.admin)
            #expect(list.json["data"]?.list?.compactMap { $0["name"]?.text } == ["admin", "ada"])
            #expect(!list.body.contains("scrypt") && !list.body.contains("horse"))
        }
    }

    @Test("A taken name is 409; bad fields are named, a short password among them")
    func errors() async throws {
        try await TestServer.run { server in
            let taken = try await server.call("POST", "/api/v1/accounts", key: server.admin, json: #"{"name":"ADMIN"}"#)
            #expect(taken.status == 409 && taken.badFields == ["name"])
            for (json, fields) in [
                ("{}", ["name"]), (#"{"name":"a b","password":"short","x":1}"#, ["name", "password", "x"]),
                (#"{"name":"a","password":12345678}"#, ["password"]),
            ] {
                let reply = try await server.call("POST", "/api/v1/accounts", key: server.admin, json: json)
                #expect(reply.status == 422 && Set(reply.badFields) == Set(fields), "\(json)")
            }
        }
    }

    @Test("A link signs its account in, once, and the page's address is the public one")
    func link() async throws {
        try await TestServer.run {
            $0.configuration.server.publicURL = "https://tips.example"
        } _: { server in
            _ = try await server.maker.account("ada")
            let reply = try await server.call("POST", "/api/v1/accounts/ada/link", key: server.admin)
            #expect(reply.status == 201 && reply.json.names == ["url", "expiresAt"])
            let url = try #require(reply.json["url"]?.text)
            #expect(url.hasPrefix("https://tips.example/login?code="))
            let path = String(url.dropFirst("https://tips.example".count))
            let signedIn = try await server.call("GET", path)
            let cookie = try #require(signedIn.header("set-cookie"))
            #expect(cookie.hasSuffix("; HttpOnly; SameSite=Strict; Secure"))
            #expect(signedIn.header("cache-control") == "no-store")
            let session = try await server.call(
                "GET", "/api/v1/session", headers: "Cookie: \(cookie.prefix { $0 != ";" })\r\n")
            #expect(session.status == 200 && session.json["account"]?.text == "ada")
            let again = try await server.call("GET", path)
            #expect(again.status == 403 && again.header("set-cookie") == nil)
        }
    }

    @Test("The cookie is Secure when a trusted proxy says that the browser speaks HTTPS, and no one else's word counts")
    func forwardedProtocol() async throws {
        for isTrusted in [true, false] {
            try await TestServer.run {
                if isTrusted { $0.configuration.server.trustedProxies = [AddressRange("127.0.0.0/8")!] }
            } _: { server in
                let link = try await server.parts.links.make(for: server.administrator.id).url
                let path = String(link.drop { $0 != ":" }.dropFirst(3).drop { $0 != "/" })
                let reply = try await server.call("GET", path, headers: "X-Forwarded-Proto: https\r\n")
                #expect(reply.header("set-cookie")?.hasSuffix("; Secure") == isTrusted)
            }
        }
    }

    @Test("Where another site led to a link, it signs nobody in until its person says so on a page of ours")
    func led() async throws {
        try await TestServer.run { server async throws in
            let link = try await server.parts.links.make(for: server.administrator.id).url
            let path = String(link.drop { $0 != ":" }.dropFirst(3).drop { $0 != "/" })
            for site in ["cross-site", "same-site", "same-origin", "anything"] {
                let question = try await server.call("GET", path, headers: "Sec-Fetch-Site: \(site)\r\n")
                #expect(question.status == 200 && question.header("set-cookie") == nil)
                #expect(question.body.contains("Sign in with this link?"))
            }
            for headers in ["", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: none\r\n"] {
                let foreign = try await server.call("POST", path, headers: headers)
                #expect(foreign.status == 403 && foreign.header("set-cookie") == nil)
            }
            // None of that has spent the code.
            let ours = "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n"
            let answer = try await server.call("POST", path, headers: ours)
            #expect(answer.status == 303 && answer.header("location") == "/")
            #expect(answer.header("set-cookie")?.hasPrefix("tipwire_session=") == true)
            #expect(try await server.call("POST", path, headers: ours).status == 403)
        }
    }

    @Test("A link for nobody is 404, and no code is no way in")
    func badLinks() async throws {
        try await TestServer.run { server async throws in
            #expect(try await server.call("POST", "/api/v1/accounts/nobody/link", key: server.admin).status == 404)
            for path in ["/login", "/login?code=", "/login?code=abc"] {
                #expect(try await server.call("GET", path).status == 403, "\(path)")
            }
        }
    }
}
