import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("Overlays", .timeLimit(.minutes(1)))
struct OverlayTests {
    private let page = "/api/v1/pages/main"

    private func key(_ server: TestServer, pages: [Page]? = nil) async throws -> String {
        try await server.maker.key(server.administrator, [.overlay], pages: pages ?? [server.main])
    }

    private func open(_ server: TestServer, _ query: String) async throws -> Wire {
        let wire = try await server.connect()
        try await wire.send(Handshake.request("/overlay/socket?\(query)"))
        let answer = try await wire.text(through: "\r\n\r\n")
        try #require(answer == Handshake.answer)
        return wire
    }

    private func next(_ wire: Wire) async throws -> JSONValue {
        try JSONValue.parse(try await wire.frame().text)
    }

    @Test("An overlay begins with the whole state, and goes on with what happens")
    func state() async throws {
        try await TestServer.run { server in
            try await server.tip()
            let overlay = try await open(server, "key=\(key(server))&kind=goal&screen=obs")
            let state = try await next(overlay)
            #expect(state["type"]?.text == "overlay.state" && state["build"]?.text == Asset.build)
            #expect(state["recent"]?.list?.count == 1 && state["goals"]?.list?.count == 0)
            #expect(state["page"]?["slug"]?.text == "main")
            try await server.tip("main", #"{"grossAmountInCents":700,"id":"second"}"#)
            let event = try await next(overlay)
            #expect(event["type"]?.text == "tip.received" && event["data"]?["id"]?.text == "second")
            try await server.tip("side")
            try await overlay.sendText("ping")
            #expect(try await overlay.frame().text == "pong", "another page's tip is not ours")
        }
    }

    @Test("Who comes back with a position is given what was missed, after the state")
    func resume() async throws {
        try await TestServer.run { server in
            let key = try await key(server)
            try await server.tip("main", #"{"grossAmountInCents":1,"id":"one"}"#)
            let epoch = server.parts.position.epoch
            let overlay = try await open(server, "key=\(key)&since=\(epoch)-0")
            #expect(try await next(overlay)["type"]?.text == "overlay.state")
            let resumed = try await next(overlay)
            #expect(resumed["type"]?.text == "overlay.resumed" && resumed["status"]?.text == "resumed")
            #expect(try await next(overlay)["data"]?["id"]?.text == "one")
            let stranger = try await open(server, "key=\(key)&since=other123-5")
            _ = try await next(stranger)
            #expect(try await next(stranger)["status"]?.text == "reset")
        }
    }

    @Test("Only a key with the scope opens it, and nothing else opens with that key")
    func scope() async throws {
        try await TestServer.run { server in
            let reader = try await server.maker.key(server.administrator, [.eventsRead])
            let overlay = try await key(server)
            for (query, status) in [
                ("kind=alerts", 401), ("key=nonsense", 401), ("key=\(reader)&page=main", 401),
                ("key=\(overlay)&kind=clock", 400), ("key=\(overlay)&screen=a%20b", 400),
                ("key=\(overlay)&page=side", 403),
                ("key=\(try await key(server, pages: [server.main, server.side]))", 400),
            ] {
                let wire = try await server.connect()
                try await wire.send(Handshake.request("/overlay/socket?\(query)"))
                #expect(try await wire.reply().status == status, "\(query)")
            }
            #expect(try await server.call("GET", page, key: overlay).status == 403)
            #expect(try await server.call("GET", "\(page)/tips", key: overlay).status == 403)
            let feed = try await server.connect()
            try await feed.send(Handshake.request("/?auth=\(overlay)&channel=activity-feed&room=main"))
            #expect(try await feed.reply().status == 401)
        }
    }

    @Test("A revoked key ends its overlays, whose screens are then gone")
    func revoked() async throws {
        try await TestServer.run { server in
            let overlay = try await open(server, "key=\(key(server))&screen=obs")
            _ = try await next(overlay)
            let listed = try await server.call("GET", "\(page)/screens", key: server.admin)
            #expect(listed.json["data"]?.list?.first?["isConnected"] == .bool(true))
            #expect(try await server.call("DELETE", "\(page)/screens/obs", key: server.admin).status == 409)
            let keys = try await server.call("GET", "/api/v1/keys", key: server.admin).json["data"]?.list ?? []
            let id = try #require(keys.first { $0["scopes"]?.list?.first?.text == "overlay" }?["id"]?.text)
            #expect(try await server.call("DELETE", "/api/v1/keys/\(id)", key: server.admin).status == 204)
            #expect(try await overlay.frame().closeCode == 1008)
            let after = try await server.call("GET", "\(page)/screens", key: server.admin).json["data"]?.list
            #expect(after?.first?["isConnected"] == .bool(false) && after?.first?["key"] == .null)
            #expect(try await server.call("DELETE", "\(page)/screens/obs", key: server.admin).status == 204)
            #expect(try await server.call("DELETE", "\(page)/screens/obs", key: server.admin).status == 404)
        }
    }

    @Test("Receipts are told with the tip; who has missed it is shown it again, and only they")
    func receipts() async throws {
        try await TestServer.run { server in
            let key = try await key(server)
            let obs = try await open(server, "key=\(key)&screen=obs")
            let phone = try await open(server, "key=\(key)&screen=phone")
            for wire in [obs, phone] { _ = try await next(wire) }
            try await server.tip("main", #"{"grossAmountInCents":500,"id":"t"}"#)
            let cursor = try #require(try await next(obs)["cursor"]?.text)
            _ = try await next(phone)
            try await obs.sendText(#"{"type":"shown","tip":"t","cursor":"\#(cursor)"}"#)
            try await phone.sendText(#"{"type":"received","tip":"t","cursor":"\#(cursor)"}"#)
            // Answers come after what was said before.
            for wire in [obs, phone] {
                try await wire.sendText("ping")
                #expect(try await wire.frame().text == "pong")
            }
            let tip = try await server.call("GET", "\(page)/tips/t", key: server.admin).json
            let receipts = tip["receipts"]?.list ?? []
            #expect(receipts.map { $0["screen"]?.text } == ["obs", "phone"])
            #expect(receipts.map { $0["shownAt"] == .null } == [false, true])
            #expect(tip["deliveries"]?.list?.isEmpty == true)
            let listed = try await server.call("GET", "\(page)/tips?include=receipts", key: server.admin).json
            #expect(listed["data"]?.list?.first?["receipts"]?.list == receipts)

            let head = server.parts.position.bounds.head
            let again = try await server.call("POST", "\(page)/tips/t/replay?missed=true", key: server.admin)
            #expect(again.status == 202 && again.json["screens"] == .number(JSONNumber(1)))
            #expect(try await next(phone)["type"]?.text == "overlay.again")
            #expect(server.parts.position.bounds.head == head, "it is in no log")
            try await obs.sendText("ping")
            #expect(try await obs.frame().text == "pong", "who has shown it hears nothing")
        }
    }

    @Test("A test alert reaches alert boxes alone, and is stored nowhere")
    func testAlert() async throws {
        try await TestServer.run { server in
            let key = try await key(server)
            let box = try await open(server, "key=\(key)&screen=obs")
            let goal = try await open(server, "key=\(key)&kind=goal&screen=obs")
            let feed = try await server.feed(of: server.main, key: server.admin)
            for wire in [box, goal] { _ = try await next(wire) }
            let head = server.parts.position.bounds.head
            let told = try await server.call(
                "POST", "\(page)/test-alert", key: server.admin, json: #"{"displayName":"<b>","grossAmountInCents":42}"#
            )
            #expect(told.status == 202 && told.json["screens"] == .number(JSONNumber(1)))
            let alert = try await next(box)
            #expect(alert["type"]?.text == "overlay.test" && alert["tip"]?["displayName"]?.text == "<b>")
            #expect(try await server.call("POST", "\(page)/test-alert", key: server.admin).status == 202)
            for wire in [goal, feed] {
                try await wire.sendText("ping")
                #expect(try await wire.frame().text == "pong")
            }
            #expect(server.parts.position.bounds.head == head)
            #expect(
                try await server.call(
                    "POST", "\(page)/test-alert", key: server.admin, json: #"{"grossAmountInCents":0}"#
                ).status == 422)
        }
    }

    @Test("Pausing and muting is told at once, and to who comes later")
    func switches() async throws {
        try await TestServer.run { server in
            let key = try await key(server)
            let box = try await open(server, "key=\(key)")
            _ = try await next(box)
            let answer = try await server.call(
                "PATCH", "\(page)/alerts", key: server.admin, json: #"{"paused":true}"#)
            #expect(answer.body == #"{"paused":true,"muted":false}"#)
            #expect(try await next(box)["paused"] == .bool(true))
            let later = try await open(server, "key=\(key)&screen=late")
            #expect(try await next(later)["alerts"]?["paused"] == .bool(true))
        }
    }

    @Test("Of several copies one may show an alert; when it goes, another may; once shown, nobody")
    func leases() async throws {
        try await TestServer.run { server in
            let key = try await key(server)
            var copies: [Wire] = []
            for name in ["a", "b", "c"] {
                copies.append(try await open(server, "key=\(key)&screen=\(name)&display=once"))
                _ = try await next(copies[copies.count - 1])
            }
            try await server.tip("main", #"{"grossAmountInCents":500,"id":"t"}"#)
            let cursor = try #require(try await next(copies[0])["cursor"]?.text)
            for copy in copies.dropFirst() { _ = try await next(copy) }
            func claim(_ copy: Int) async throws -> String? {
                try await copies[copy].sendText(#"{"type":"claim","cursor":"\#(cursor)"}"#)
                return try await next(copies[copy])["state"]?.text
            }
            #expect(try await claim(0) == "granted")
            #expect(try await claim(0) == "granted", "it may go on")
            #expect(try await claim(1) == "held")
            await copies[0].close()
            while try await server.parts.overlayDesk.present(on: server.main.id).count == 3 { await Task.yield() }
            #expect(try await claim(1) == "granted")
            #expect(try await claim(2) == "held")
            try await copies[1].sendText(#"{"type":"shown","tip":"t","cursor":"\#(cursor)"}"#)
            #expect(try await claim(1) == "granted", "it is still on the screen")
            #expect(try await claim(2) == "shown")
        }
    }

    @Test("What can't have been shown is not believed, and keeps nothing else from being kept")
    func forged() async throws {
        try await TestServer.run { server in
            let key = try await key(server)
            let box = try await open(server, "key=\(key)&screen=obs")
            let goal = try await open(server, "key=\(key)&kind=goal&screen=obs")
            for wire in [box, goal] { _ = try await next(wire) }
            try await server.tip("main", #"{"grossAmountInCents":500,"id":"t"}"#)
            let cursor = try #require(try await next(box)["cursor"]?.text)
            _ = try await next(goal)
            let epoch = server.parts.position.epoch
            for (position, state) in [("\(epoch)-0", "shown"), ("\(epoch)-999", "held"), ("other123-1", "shown")] {
                try await box.sendText(#"{"type":"shown","tip":"t","cursor":"\#(position)"}"#)
                try await box.sendText(#"{"type":"claim","cursor":"\#(position)"}"#)
                #expect(try await next(box)["state"]?.text == state)
            }
            try await goal.sendText(#"{"type":"shown","tip":"t","cursor":"\#(cursor)"}"#)
            try await goal.sendText("ping")
            #expect(try await goal.frame().text == "pong")
            await server.parts.overlayDesk.flush()
            let before = try await server.call("GET", "\(page)/tips/t", key: server.admin).json["receipts"]?.list
            #expect(before?.isEmpty == true)
            try await box.sendText(#"{"type":"shown","tip":"t","cursor":"\#(cursor)"}"#)
            try await box.sendText("ping")
            #expect(try await box.frame().text == "pong")
            let after = try await server.call("GET", "\(page)/tips/t", key: server.admin).json["receipts"]?.list
            #expect(after?.count == 1)
        }
    }

    @Test("A page takes so many screens and no more; one that is there may connect anew")
    func tooMany() async throws {
        try await TestServer.run {
            $0.configuration.feed.maxConnections = Limits.screens + 10
        } _: { server in
            let key = try await key(server)
            var overlays: [Wire] = []
            for number in 1...Limits.screens {
                overlays.append(try await open(server, "key=\(key)&screen=s\(number)"))
            }
            let wire = try await server.connect()
            try await wire.send(Handshake.request("/overlay/socket?key=\(key)&screen=more"))
            #expect(try await wire.reply().status == 429)
            overlays.append(try await open(server, "key=\(key)&screen=s1"))
        }
    }
}

@Suite("The dashboard's own calls", .timeLimit(.minutes(1)))
struct DashboardCallTests {
    private func cookie(_ server: TestServer, _ account: Account) async throws -> String {
        "Cookie: tipwire_session=\(try await server.parts.links.begin(account.id))\r\n"
    }

    private func origin(_ server: TestServer) -> String { "Origin: http://127.0.0.1:\(server.front.port)\r\n" }

    @Test("A reading call by cookie is refused when another site's page makes it")
    func fetchSite() async throws {
        try await TestServer.run { server in
            let cookie = try await cookie(server, server.administrator)
            for (site, status) in [
                ("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403), ("nonsense", 403),
            ] {
                let reply = try await server.call(
                    "GET", "/api/v1/pages", headers: cookie + "Sec-Fetch-Site: \(site)\r\n")
                #expect(reply.status == status, "\(site)")
            }
            #expect(
                try await server.call(
                    "GET", "/api/v1/pages", key: server.admin, headers: "Sec-Fetch-Site: cross-site\r\n"
                ).status == 200, "a key is no cookie")
        }
    }

    @Test("The Event Hook opens to a signed-in browser, from our own pages alone")
    func eventHook() async throws {
        try await TestServer.run { server in
            let cookie = try await cookie(server, server.administrator)
            let path = "/api/tip-events/stream?page=main"
            let foreign = try await server.call("GET", path, headers: cookie + "Sec-Fetch-Site: cross-site\r\n")
            #expect(foreign.status == 401)
            let wire = try await server.connect()
            try await wire.send(server.request("GET", path, headers: cookie + "Sec-Fetch-Site: same-origin\r\n"))
            #expect(try await wire.text(through: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
            try await server.tip()
            #expect(try await wire.text(through: "\n\n").contains("connected"))
            #expect(try await wire.text(through: "\n\n").contains("tip:received"))
        }
    }

    @Test("Of many guesses at once no more are looked at than of as many one by one")
    func guesses() async throws {
        try await TestServer.run {
            $0.configuration.auth.maxFailuresPerMinute = 5
        } _: { server in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await server.call(
                            "POST", "/api/v1/session", json: #"{"account":"admin","password":"a wrong guess"}"#,
                            headers: origin(server)
                        ).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 401 } <= 5)
            #expect(statuses.allSatisfy { [401, 429, 503].contains($0) })
        }
    }

    @Test("A password is set by who is signed in, with the old one where there is one; other sessions end by it")
    func password() async throws {
        try await TestServer.run { server in
            let other = try await cookie(server, server.administrator)
            var cookie = try await cookie(server, server.administrator)
            func set(_ json: String) async throws -> Int {
                let reply = try await server.call(
                    "PUT", "/api/v1/session/password", json: json, headers: cookie + origin(server))
                if let given = reply.header("set-cookie")?.prefix(while: { $0 != ";" }) {
                    cookie = "Cookie: \(given)\r\n"
                }
                return reply.status
            }
            #expect(try await set(#"{"password":"short"}"#) == 422)
            #expect(try await set(#"{"password":"first password"}"#) == 204)
            #expect(try await server.call("GET", "/api/v1/session", headers: other).status == 401)
            #expect(try await server.call("GET", "/api/v1/session", headers: cookie).status == 200)
            #expect(try await set(#"{"password":"second password"}"#) == 422)
            #expect(try await set(#"{"current":"wrong one","password":"second password"}"#) == 422)
            #expect(try await set(#"{"current":"first password","password":"second password"}"#) == 204)
            let login = try await server.call(
                "POST", "/api/v1/session", json: #"{"account":"admin","password":"second password"}"#,
                headers: origin(server))
            #expect(login.status == 204)
            let byKey = try await server.call(
                "PUT", "/api/v1/session/password", key: server.admin, json: #"{"password":"third password"}"#)
            #expect(byKey.status == 400)
        }
    }

    @Test("Signing out everywhere ends every session and its streams")
    func signOutEverywhere() async throws {
        try await TestServer.run { server in
            let first = try await cookie(server, server.administrator)
            let second = try await cookie(server, server.administrator)
            let feed = try await server.feed(
                "channel=activity-feed&room=main", headers: second + origin(server))
            #expect(
                try await server.call("DELETE", "/api/v1/sessions", headers: first + origin(server)).status == 204)
            #expect(try await feed.frame().closeCode == 1008)
            for cookie in [first, second] {
                #expect(try await server.call("GET", "/api/v1/session", headers: cookie).status == 401)
            }
        }
    }

    @Test("A view is a page that shows nothing to who isn't signed in; overlays need no session")
    func documents() async throws {
        try await TestServer.run { server in
            let cookie = try await cookie(server, server.administrator)
            for (path, _) in Asset.views {
                let stranger = try await server.call("GET", path)
                #expect(stranger.status == 200 && stranger.body.contains("<title>Sign in"), "\(path)")
                let person = try await server.call("GET", path, headers: cookie)
                #expect(!person.body.contains("<title>Sign in"), "\(path)")
                #expect(person.header("content-security-policy")?.contains("frame-ancestors 'none'") == true)
            }
            for (path, _) in Asset.overlays {
                let overlay = try await server.call("GET", path)
                let policy = try #require(overlay.header("content-security-policy"))
                #expect(overlay.status == 200 && !policy.contains("frame-ancestors"), "\(path)")
                #expect(policy.hasPrefix("default-src 'none'") && !policy.contains("unsafe"))
                #expect(overlay.header("referrer-policy") == "no-referrer")
                #expect(overlay.header("x-content-type-options") == "nosniff")
            }
        }
    }

    @Test("The public page shows title and goals, escaped, and no tipper")
    func publicPage() async throws {
        try await TestServer.run { server in
            let path = "/api/v1/pages/main"
            _ = try await server.call("PATCH", path, key: server.admin, json: #"{"title":"<script>&\"Tea\""}"#)
            let goal = #"{"description":"<img src=x>","amountInCents":1000}"#
            #expect(try await server.call("POST", "\(path)/goals", key: server.admin, json: goal).status == 201)
            try await server.tip("main", #"{"grossAmountInCents":250,"displayName":"Secret Sam","message":"psst"}"#)
            let page = try await server.call("GET", "/p/main")
            #expect(page.status == 200)
            #expect(page.body.contains("<h1>&lt;script&gt;&amp;&quot;Tea&quot;</h1>"))
            #expect(page.body.contains("&lt;img src=x&gt;") && page.body.contains("2.50 of 10.00 USD"))
            #expect(!page.body.contains("Sam") && !page.body.contains("psst") && !page.body.contains("<script>"))
            #expect(try await server.call("GET", "/p/none").status == 404)
        }
    }

    @Test("Statistics begin where the reader's days begin")
    func statistics() async throws {
        try await TestServer.run { server in
            try await server.tip()
            let path = "/api/v1/pages/main/stats"
            let days = try await server.call(
                "GET", "\(path)?bucket=day&utcOffsetMinutes=90&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z",
                key: server.admin)
            let starts = days.json["data"]?.list?.compactMap { $0["from"]?.text }
            #expect(starts == ["2025-12-31T22:30:00.000Z", "2026-01-01T22:30:00.000Z", "2026-01-02T22:30:00.000Z"])
            let weeks = try await server.call(
                "GET", "\(path)?bucket=week&from=2026-01-01T00:00:00Z&to=2026-01-06T00:00:00Z", key: server.admin)
            #expect(
                weeks.json["data"]?.list?.compactMap { $0["from"]?.text }
                    == ["2025-12-29T00:00:00.000Z", "2026-01-05T00:00:00.000Z"], "a Monday")
            let now = try await server.call("GET", "\(path)?bucket=hour", key: server.admin)
            #expect(now.json["total"]?["tips"] == .number(JSONNumber(1)))
            for bad in [
                "bucket=year", "from=yesterday", "to=0000-01-20T00:00:00Z", "from=9999-12-31T23:00:00Z", "to=",
                "utcOffsetMinutes=900",
                "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "bucket=hour&from=2020-01-01T00:00:00Z",
            ] {
                #expect(try await server.call("GET", "\(path)?\(bad)", key: server.admin).status == 422, "\(bad)")
            }
        }
    }
}
