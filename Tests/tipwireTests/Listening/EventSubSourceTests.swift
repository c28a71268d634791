import NIOConcurrencyHelpers
import Testing
import TipwireCore

@testable import tipwire

/// Subscribing and listening against a server written by hand.
@Suite struct EventSubSourceTests {
    /// Answers by method and path; what isn't in here is 404.
    private struct Script: Sendable {
        var profiles = (200, #"{"success":"ok","data":[{"funprofile_id":7,"role":"owner"}]}"#)
        /// What is answered when they are asked for again; the same if nil.
        var laterProfiles: (Int, String)?
        var pages = (200, #"{"data":[\#(pageBody("other", 6)),\#(pageBody("demo", 7))],"next":null}"#)
        var page = (200, pageBody("demo", 7))
        var tips = (200, #"{"data":[],"next":null}"#)
        var create = (200, #"{"success":"ok","data":{"connection_id":"1-7-1:1-ab"}}"#)
        /// Frames of each socket, in the order in which they are opened.
        var sockets: [[UInt8]] = []

        func answer(_ request: String, number: Int, sockets opened: NIOLockedValueBox<Int>) -> ScriptedServer.Answer {
            let line = request.prefix { $0 != "\r\n" }
            let plain: (Int, String)
            switch line {
            case let line where line.hasPrefix("GET /?connection_id="):
                let number = opened.withLockedValue { number in
                    number += 1
                    return number - 1
                }
                return .open(ScriptedServer.switching(request) + sockets[number])
            case let line where line.hasPrefix("GET /api/v1/user/profiles/get "):
                plain = number == 0 ? profiles : laterProfiles ?? profiles
            case let line where line.hasPrefix("GET /api/v1/pages?"): plain = pages
            case let line where line.hasPrefix("GET /api/v1/pages/demo "): plain = page
            case let line where line.hasPrefix("GET /api/v1/pages/demo/tips?"): plain = tips
            case let line where line.hasPrefix("POST /api/eventsub/create?"): plain = create
            case let line where line.hasPrefix("DELETE /api/eventsub/delete?"): plain = (200, "{}")
            default: plain = (404, "{}")
            }
            let (status, body) = plain
            return .open(
                "HTTP/1.1 \(status) X\r\nRetry-After: 7\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }

        static func pageBody(_ slug: String, _ number: Int) -> String {
            #"{"slug":"\#(slug)","currency":"USD","profileId":\#(number),"createdAt":"2026-07-01T15:04:05.123Z"}"#
        }
    }

    private struct Outcome {
        var endings: [ListeningEnding] = []
        var shown: [String] = []
        var requests: [String] = []

        /// Method and target of each request.
        var lines: [String] { requests.map { String($0.prefix { $0 != "\r\n" }.dropLast(" HTTP/1.1".count)) } }
    }

    /// Connects so many times, and ends the subscription.
    private static func outcome(
        of script: Script, page: Slug? = nil, type: String? = nil, connections: Int = 1
    ) async throws -> Outcome {
        let opened = NIOLockedValueBox(0)
        let server = try await ScriptedServer.start { number, request in
            script.answer(request, number: number, sockets: opened)
        }
        let client = try ManagementClient(
            address: #require(ServerAddress("http://127.0.0.1:\(server.port)")),
            key: .find(option: "tw_" + String(repeating: "a", count: 64), environment: [:]))
        let shown = NIOLockedValueBox<[String]>([])
        var outcome = Outcome()
        let failure: (any Error)?
        do {
            let source = try EventSubSource(client: client, page: page, type: type)
            for _ in 0..<connections {
                outcome.endings.append(
                    try await source.connect(after: "now", opened: {}) { message in
                        let words =
                            switch message.content {
                            case .beginning: "beginning"
                            case .renewal: "renewal"
                            case .event(let event): event.line(on: ListenedPage(slug: event.pageSlug, currency: nil))
                            case .unknown(let type): type
                            }
                        shown.withLockedValue { $0.append(words) }
                    })
            }
            await source.end()
            failure = nil
        } catch {
            failure = error
        }
        outcome.shown = shown.withLockedValue { $0 }
        outcome.requests = server.requests
        await client.close()
        try await server.close()
        if let failure { throw failure }
        return outcome
    }

    private static func message(_ id: String) -> [UInt8] {
        ScriptedServer.text(
            #"{"type":"message","subscription":{"type":"goals.progress"},"#
                + #""data":{"goal_progress":1,"goal_target":2},"id":"\#(id)"}"#)
    }

    private static let pong = ScriptedServer.text("PONG")
    private static let line = "           demo  goal 1 cents of 2 cents (50%)"

    @Test("The only page is subscribed to, and the same subscription is connected again, without what came twice")
    func again() async throws {
        let outcome = try await Self.outcome(
            of: Script(sockets: [
                Self.pong + Self.message("e-1") + ScriptedServer.closing(1001, "shutdown"),
                Self.message("e-1") + Self.message("e-2") + ScriptedServer.closing(1001, "shutdown"),
            ]), type: "goals.progress", connections: 2)
        #expect(outcome.shown == ["beginning", Self.line, "beginning", Self.line])
        #expect(outcome.endings == Array(repeating: .closed(code: 1001, reason: "shutdown"), count: 2))
        #expect(
            outcome.lines == [
                "GET /api/v1/user/profiles/get", "GET /api/v1/pages?limit=1000",
                "POST /api/eventsub/create?transport%5Bmethod%5D=websocket&type=goals.progress",
                "GET /?connection_id=1-7-1%3A1-ab", "GET /?connection_id=1-7-1%3A1-ab",
                "DELETE /api/eventsub/delete?connection_id=1-7-1%3A1-ab",
            ])
        #expect(outcome.requests[2].contains("FUNPLACE-PROFILE-ID: 7\r\n"))
        // The id alone lets in: a key has no business there.
        #expect(!outcome.requests[3].contains("tw_"))
    }

    @Test("When the server knows the subscription no more, another one is made, to the same page")
    func renewal() async throws {
        let unknown = ScriptedServer.text(#"{"type":"disconnect","data":{"msg":"unknown"}}"#)
        let outcome = try await Self.outcome(
            of: Script(sockets: [
                Self.pong + ScriptedServer.closing(1012, ""), unknown + ScriptedServer.closing(1008, "unknown"),
                Self.pong + Self.message("e-2") + ScriptedServer.closing(1012, ""),
            ]), connections: 3)
        #expect(outcome.shown == ["beginning", "renewal", Self.line])
        #expect(outcome.endings[1] == .subscriptionOver("unknown"))
        #expect(outcome.lines.map { $0.prefix(8) }.filter { $0 == "POST /ap" }.count == 2)
        #expect(outcome.lines.filter { $0.contains("profiles") }.count == 1)
    }

    @Test("A page that is asked for is looked up, as far as the key may")
    func namedPage() async throws {
        let script = Script(sockets: [Self.pong + ScriptedServer.closing(1012, "")])
        let managed = try await Self.outcome(of: script, page: Slug("demo"))
        #expect(managed.lines[1] == "GET /api/v1/pages/demo")
        #expect(managed.requests[2].contains("FUNPLACE-PROFILE-ID: 7\r\n"))
        var listening = script
        listening.page = (403, "{}")
        let listened = try await Self.outcome(of: listening, page: Slug("demo"))
        #expect(listened.lines[1...2] == ["GET /api/v1/pages/demo", "GET /api/v1/pages/demo/tips?limit=1"])
        #expect(listened.requests[3].contains("FUNPLACE-PROFILE-ID: 7\r\n"))
    }

    private static let twoProfiles = (200, #"{"success":"ok","data":[{"funprofile_id":6},{"funprofile_id":7}]}"#)

    @Test("Which page is meant is never guessed")
    func unknownPage() async throws {
        func failure(_ page: String?, _ change: (inout Script) -> Void) async throws -> String? {
            var script = Script()
            change(&script)
            let failure = await #expect(throws: Failure.self) {
                _ = try await Self.outcome(of: script, page: page.flatMap { Slug($0) })
            }
            return failure?.message
        }
        #expect(
            try await failure(nil) { $0.profiles = Self.twoProfiles }
                == "the key from --key reaches 2 pages; say which one with --page")
        #expect(try await failure(nil) { $0.profiles = (200, #"{"data":[]}"#) }?.contains("reaches no page") == true)
        let advice = "tipwire key create --name listen --scope Funplace::eventsub --page demo"
        #expect(
            try await failure("demo") {
                $0.page = (403, "{}")
                $0.profiles = Self.twoProfiles
            }?.hasSuffix("a key for that page alone needs no --page: " + advice) == true)
        #expect(
            try await failure("demo") {
                $0.page = (403, "{}")
                $0.tips = (403, "{}")
            }?.contains("lacks the scope manage") == true)
        #expect(
            try await failure("demo") { $0.page = (200, Script.pageBody("demo", 8)) }?
                .hasPrefix("page 'demo' is of another account than the key from --key") == true)
        #expect(
            try await failure("demo") { $0.page = (404, #"{"title":"Not Found","status":404}"#) }
                == "page 'demo' does not exist, or the key is for other pages; create it with: tipwire page create demo"
        )
    }

    @Test("A refused subscription says what is wrong: the key, its scope, its page, or what was asked for")
    func refused() async throws {
        func failure(_ create: (Int, String)) async throws -> String? {
            let failure = await #expect(throws: Failure.self) {
                _ = try await Self.outcome(of: Script(create: create))
            }
            return failure?.message
        }
        #expect(
            try await failure((400, #"{"error":"bad request","error_data":"invalid 'type'\u001b value"}"#))
                == #"the server does not take the subscription (400): invalid 'type'\u{1b} value"#)
        #expect(
            try await failure((401, #"{"error":"unauthorized","error_data":{}}"#))
                == "the key from --key may not subscribe (401): it lacks the scope Funplace::eventsub; make one with: "
                + "tipwire key create --name listen --scope Funplace::eventsub --page demo")
        let closed = await #expect(throws: Failure.self) {
            _ = try await Self.outcome(
                of: Script(laterProfiles: (200, #"{"data":[{"funprofile_id":6}]}"#), create: (401, "{}")))
        }
        #expect(closed?.message == "the page is no longer open to the key from --key (401)")
        let revoked = await #expect(throws: Failure.self) {
            _ = try await Self.outcome(of: Script(profiles: (401, #"{"error":"unauthorized","error_data":{}}"#)))
        }
        #expect(revoked?.message.contains("does not accept the key from --key (401)") == true)
    }

    @Test("What may pass is no failure, and nothing is made twice for it")
    func passing() async throws {
        let busy = try await Self.outcome(
            of: Script(create: (429, #"{"error":"too many requests","error_data":{}}"#)), connections: 2)
        #expect(
            busy.endings == Array(repeating: .refused(status: 429, detail: nil, retryAfterSeconds: 7), count: 2))
        #expect(busy.lines.filter { $0.contains("profiles") }.count == 1)
        let broken = try await Self.outcome(of: Script(profiles: (503, "")))
        #expect(broken.endings == [.refused(status: 503, detail: nil, retryAfterSeconds: 7)])
        // Nothing was made, so nothing is ended.
        #expect(broken.lines.count == 1)
    }
}
