import NIOCore
import NIOHTTP1
import Testing
import TipwireCore
import TipwireHub
import TipwireWire

@testable import TipwireServer

@Suite("Who may open the Event Hook")
struct EventHookDoorTests {
    private let world: World
    private let quota = StreamQuota(maximum: 2)
    private let refusals = RefusalCounts()
    private let throttle = FailureThrottle(maxPerMinute: 3)

    init() async throws { world = try await World() }

    private func decide(
        _ query: String, method: HTTPMethod = .GET, version: HTTPVersion = .http1_1, headers extra: HTTPHeaders = [:],
        origins: [String] = ["*"]
    ) throws -> StreamDecision {
        let door = EventHookDoor(
            admission: Admission(
                directory: world.directory,
                authenticator: Authenticator(
                    directory: world.directory, store: world.store, clock: world.clock.wall, throttle: throttle,
                    logger: World.quiet),
                quota: quota, addresses: ClientAddress(trustedProxies: []), clock: world.clock.wall,
                refusals: refusals, logger: World.quiet),
            sessions: SessionCookie(), origins: AllowedOrigins(list: origins))
        var headers: HTTPHeaders = ["host": "tipwire.test"]
        headers.add(contentsOf: extra)
        return door.decide(
            HTTPRequestHead(
                version: version, method: method, uri: "\(StreamRoute.eventHook)?\(query)", headers: headers),
            remote: try SocketAddress(ipAddress: "10.0.0.1", port: 1))
    }

    private func answered(_ decision: StreamDecision) -> FrontAnswer? {
        if case .answer(let answer) = decision { answer } else { nil }
    }

    private func accepted(_ decision: StreamDecision) -> AcceptedStream? {
        if case .accept(let stream) = decision { stream } else { nil }
    }

    private func error(_ answer: FrontAnswer?) -> String? {
        answer.flatMap { try? JSONValue.parse($0.body) }?["error"]?.text
    }

    @Test("What is wrong is told in the order method, key, scope, page, access")
    func order() async throws {
        let key = try await world.maker.key(world.ada)
        let mute = try await world.maker.key(world.ada, [.tipsWrite])
        for (decision, status, reason) in [
            (try decide("", method: .POST), 405, "method"), (try decide("", method: .HEAD), 405, "method"),
            (try decide(""), 401, "key_missing"), (try decide("token=tw_nonsense&page=nope"), 401, "key_invalid"),
            (try decide("token=\(mute)&page=nope"), 401, "scope"), (try decide("token=\(key)"), 400, "page"),
            (try decide("token=\(key)&page=nope"), 403, "access"),
            (try decide("token=\(key)&page=other"), 403, "access"),
        ] {
            #expect(answered(decision)?.status.code == UInt(status))
            #expect(refusals.reading.contains { $0.reason == reason }, "\(reason)")
        }
        #expect(try answered(decide("", method: .PUT))?.headers["allow"] == ["GET, OPTIONS"])
    }

    @Test("Without 'page' the choices are named, owned pages and those of a member, no others")
    func choices() async throws {
        let ada = try await world.maker.key(world.ada)
        #expect(
            try error(answered(decide("token=\(ada)"))) == "The parameter 'page' is missing: name one of main, side.")
        let nobody = try await world.maker.account("nobody")
        let none = try await world.maker.key(nobody)
        #expect(try error(answered(decide("token=\(none)"))) == "This API key has no page to listen to.")
        #expect(try answered(decide("token=\(none)"))?.status == .badRequest)
        for index in 0..<30 { _ = try await world.maker.page("n\(index)", owner: nobody) }
        #expect(try error(answered(decide("token=\(none)")))?.hasSuffix("n19 and 10 more.") == true)
    }

    @Test("One page needs no name: of an account, of a member, or of a key that is limited to it")
    func onlyPage() async throws {
        let bob = try await world.maker.key(world.bob)
        #expect(try accepted(decide("token=\(bob)"))?.subscription?.audience == .page(world.main.id))
        let limited = try await world.maker.key(world.ada, pages: [world.side])
        #expect(try accepted(decide("token=\(limited)"))?.subscription?.audience == .page(world.side.id))
        #expect(try answered(decide("token=\(limited)&page=main"))?.status == .forbidden)
        try await world.directory.removeMember(world.bob.id, from: world.main.id)
        #expect(try answered(decide("token=\(bob)"))?.status == .badRequest)
    }

    @Test("The key may stand in the address or in the header, and the address wins")
    func keys() async throws {
        let ada = try await world.maker.key(world.ada)
        let bearer: HTTPHeaders = ["authorization": "bEaReR \(ada)"]
        #expect(try accepted(decide("page=main", headers: bearer)) != nil)
        #expect(try accepted(decide("token=&page=MAIN", headers: bearer)) != nil)
        #expect(try answered(decide("token=tw_bad&page=main", headers: bearer))?.status == .unauthorized)
    }

    @Test(
        "Where it begins",
        arguments: [
            ("", nil, .live), ("resume=true", nil, .now), ("resume=false", nil, .live),
            ("lastEventId=a-1", nil, .position("a-1")), ("last_event_id=a-2", nil, .position("a-2")),
            ("lastEventId=a-1&last_event_id=a-2&resume=true", nil, .position("a-1")),
            ("lastEventId=a-1", "a-9", .position("a-9")), ("resume=true", "a-9", .position("a-9")),
            ("lastEventId=", "", .live), ("resume=true&lastEventId=", nil, .now),
        ] as [(String, String?, Subscription.Start)])
    func start(query: String, header: String?, start: Subscription.Start) async throws {
        let key = try await world.maker.key(world.ada)
        let headers: HTTPHeaders = header.map { ["last-event-id": $0] } ?? [:]
        let stream = accepted(try decide("token=\(key)&page=main&\(query)", headers: headers))
        #expect(stream?.subscription?.start == start)
        #expect(stream?.subscription?.dialect == .eventHook(hasIDs: start != .live, .chunked))
    }

    @Test("The answer's head is the documented one")
    func head() async throws {
        let key = try await world.maker.key(world.ada)
        let stream = try #require(accepted(try decide("token=\(key)&page=main")))
        #expect(
            String(buffer: stream.opening)
                == "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\n"
                + "X-Accel-Buffering: no\r\nDate: \(world.clock.now.httpDate)\r\nConnection: keep-alive\r\n"
                + "Transfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
    }

    @Test("HTTP/1.0 has no chunks: the body ends with the connection")
    func http10() async throws {
        let key = try await world.maker.key(world.ada)
        let stream = try #require(accepted(try decide("token=\(key)&page=main", version: .http1_0)))
        let head = String(buffer: stream.opening)
        #expect(head.contains("\r\nConnection: close\r\n") && !head.contains("Transfer-Encoding"))
        #expect(stream.subscription?.dialect == .eventHook(hasIDs: false, .plain))
    }

    @Test("A preflight is answered without a key, with what a page may send")
    func preflight() throws {
        let answer = try #require(answered(try decide("", method: .OPTIONS, headers: ["origin": "https://a.example"])))
        #expect(answer.status == .noContent && answer.body.readableBytes == 0)
        #expect(answer.headers["access-control-allow-origin"] == ["*"])
        #expect(answer.headers["access-control-allow-headers"] == ["Authorization, Last-Event-ID, Cache-Control"])
        #expect(answer.headers["access-control-allow-methods"] == ["GET, OPTIONS"])
        #expect(!answer.headers.contains(name: "content-length"))
    }

    @Test("Where origins are listed, only these may read, and caches are told that the answer is theirs alone")
    func origins() async throws {
        let key = try await world.maker.key(world.ada)
        let list = ["https://a.example", "https://b.example:8443"]
        func headers(_ origin: String?) throws -> String {
            let extra: HTTPHeaders = origin.map { ["origin": $0] } ?? [:]
            let stream = accepted(try decide("token=\(key)&page=main", headers: extra, origins: list))
            return String(buffer: try #require(stream).opening)
        }
        #expect(
            try headers("https://B.example:8443").contains(
                "Access-Control-Allow-Origin: https://B.example:8443\r\nVary: Origin\r\n"))
        #expect(try !headers("https://c.example").contains("Access-Control-Allow-Origin"))
        #expect(try headers(nil).contains("Vary: Origin"))
        let refused = answered(try decide("", headers: ["origin": "https://a.example"], origins: list))
        #expect(refused?.headers["access-control-allow-origin"] == ["https://a.example"])
        let preflight = answered(
            try decide("", method: .OPTIONS, headers: ["origin": "https://c.example"], origins: list))
        #expect(preflight?.headers.contains(name: "access-control-allow-methods") == false)
    }

    @Test("When all places are taken a stream is 503; a bad key that keeps coming is 429")
    func limits() async throws {
        let key = try await world.maker.key(world.ada)
        var streams: [AcceptedStream?] = []
        for _ in 0..<2 { streams.append(accepted(try decide("token=\(key)&page=main"))) }
        let full = answered(try decide("token=\(key)&page=main"))
        #expect(full?.status == .serviceUnavailable && full?.headers["retry-after"] == ["5"])
        streams.removeAll()
        #expect(try accepted(decide("token=\(key)&page=main")) != nil)
        for _ in 0..<3 { #expect(try answered(decide("token=tw_bad"))?.status == .unauthorized) }
        let throttled = answered(try decide("token=tw_bad"))
        #expect(throttled?.status == .tooManyRequests && throttled?.headers["retry-after"] == ["60"])
    }
}
