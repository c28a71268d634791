import NIOCore
import NIOHTTP1
import NIOPosix
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

@testable import TipwireServer

@Suite("Who may open a feed")
struct FeedDoorTests {
    private let world: World
    private let throttle = FailureThrottle(maxPerMinute: 3)
    private let quota = StreamQuota(maximum: 8)
    private let refusals = RefusalCounts()

    init() async throws { world = try await World() }

    private var authenticator: Authenticator {
        Authenticator(
            directory: world.directory, store: world.store, clock: world.clock.wall, throttle: throttle,
            logger: World.quiet)
    }

    private func decide(
        _ query: String, path: String = "/", headers extra: HTTPHeaders = [:], without missing: String? = nil
    ) async throws -> StreamDecision {
        let admission = Admission(
            directory: world.directory, authenticator: authenticator, quota: quota,
            addresses: ClientAddress(trustedProxies: [AddressRange("10.0.0.0/8")!]), clock: world.clock.wall,
            refusals: refusals, logger: World.quiet)
        let door = SocketDoor(
            admission: admission, sessions: SessionCookie(),
            eventSub: EventSubDoor(admission: admission, sockets: try await world.sockets()),
            overlays: OverlayDoor(
                admission: admission,
                desk: OverlayDesk(store: world.store, clock: world.clock.wall, logger: World.quiet),
                position: LogPosition(try await world.store.bounds()), logger: World.quiet))
        var headers: HTTPHeaders = [
            "host": "tipwire.test", "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ]
        if let missing { headers.remove(name: missing) }
        headers.add(contentsOf: extra)
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "\(path)?\(query)", headers: headers)
        let remote = try SocketAddress(ipAddress: "10.0.0.1", port: 1)
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        return try await eventLoop.flatSubmit {
            switch door.decide(head, remote: remote, on: eventLoop) {
            case .now(let decision): eventLoop.makeSucceededFuture(decision)
            case .later(let decision): decision
            }
        }.get()
    }

    private func refused(_ decision: StreamDecision) -> FrontAnswer? {
        if case .answer(let refusal) = decision { refusal } else { nil }
    }

    private func accepted(_ decision: StreamDecision) -> AcceptedStream? {
        if case .accept(let stream) = decision { stream } else { nil }
    }

    @Test("What is wrong is told in the order path, handshake, key, channel, room, access")
    func order() async throws {
        let key = try await world.maker.key(world.ada)
        let none = "auth=tw_nonsense"
        // Each line mends what the line before was refused for.
        for (decision, status, reason) in [
            (try await decide(none, path: "/feed", without: "connection"), 404, "path"),
            (try await decide(none, without: "connection"), 400, "handshake"),
            (try await decide("channel=nope"), 401, "key_missing"),
            (try await decide(none + "&channel=nope"), 401, "key_invalid"),
            (try await decide("auth=\(key)&channel=nope&room=nope"), 400, "channel"),
            (try await decide("auth=\(key)&channel=activity-feed"), 400, "room"),
            (try await decide("auth=\(key)&channel=activity-feed&room="), 400, "room"),
            (try await decide("auth=\(key)&channel=activity-feed&room=nope"), 403, "access"),
        ] {
            #expect(refused(decision)?.status.code == UInt(status))
            #expect(refusals.reading.contains { $0.reason == reason }, "\(reason)")
        }
        #expect(accepted(try await decide("auth=\(key)&channel=activity-feed&room=main")) != nil)
    }

    @Test("A key needs events:read, or a scope that includes it")
    func scopes() async throws {
        for (scopes, isGood) in [
            ([.tipsWrite, .manage], false), ([.overlay], false), ([.eventsub], false),
            ([.eventsRead], true), ([.admin], true),
        ] as [([Scope], Bool)] {
            let key = try await world.maker.key(world.ada, scopes)
            let decision = try await decide("auth=\(key)&channel=firehose")
            #expect(refused(decision)?.status == (isGood ? nil : .unauthorized))
        }
    }

    @Test("An expired, a revoked and an unknown key get one answer")
    func badKeys() async throws {
        let expired = try await world.maker.key(
            world.ada, expiresAt: world.clock.now.advanced(milliseconds: 1_000))
        let revoked = try await world.maker.keyAndID(world.ada)
        _ = try await world.directory.revokeKey(revoked.id)
        world.clock.advance(seconds: 1)
        var answers: Set<String> = []
        for key in [expired, revoked.text, APIKey.random().reveal()] {
            let refusal = refused(try await decide("auth=\(key)&channel=firehose"))
            answers.insert(String(buffer: try #require(refusal).bytes))
        }
        #expect(answers.count == 1)
        #expect(answers.first?.hasPrefix("HTTP/1.1 401 Unauthorized\r\n") == true)
    }

    @Test("The query's key wins over the header's; an empty one counts as absent")
    func keyPlaces() async throws {
        let key = try await world.maker.key(world.ada)
        let bearer: HTTPHeaders = ["authorization": "bearer \(key)"]
        #expect(accepted(try await decide("channel=firehose", headers: bearer)) != nil)
        #expect(accepted(try await decide("auth=&channel=firehose", headers: bearer)) != nil)
        #expect(refused(try await decide("auth=bad&channel=firehose", headers: bearer))?.status == .unauthorized)
        #expect(
            accepted(
                try await decide("auth=\(key)&channel=firehose", headers: ["authorization": "Bearer bad"])) != nil)
    }

    @Test("A page is open to its owner and members, in any case of its slug, and to nobody else")
    func pages() async throws {
        for (account, room, isOpen) in [
            (world.ada, "main", true), (world.ada, "MAIN", true), (world.bob, "main", true),
            (world.bob, "side", false), (world.eve, "main", false), (world.ada, "other", false),
            (world.ada, "ma%69n", true), (world.ada, "main%00", false),
        ] {
            let key = try await world.maker.key(account)
            let decision = try await decide("auth=\(key)&channel=activity-feed&room=\(room)")
            #expect((accepted(decision) != nil) == isOpen, "\(account.name) \(room)")
            if isOpen { #expect(accepted(decision)?.subscription?.audience == .page(world.main.id)) }
        }
    }

    @Test("An unknown page and a foreign one can't be told apart")
    func probing() async throws {
        let key = try await world.maker.key(world.ada)
        let unknown = refused(try await decide("auth=\(key)&channel=activity-feed&room=unknown"))
        let foreign = refused(try await decide("auth=\(key)&channel=activity-feed&room=other"))
        #expect(unknown?.bytes == foreign?.bytes)
        #expect(unknown?.status == .forbidden)
    }

    @Test("An admin's key opens its own account's pages and no others")
    func admin() async throws {
        let key = try await world.maker.key(world.ada, [.admin])
        #expect(
            refused(try await decide("auth=\(key)&channel=activity-feed&room=other"))?.status == .forbidden)
        #expect(
            accepted(try await decide("auth=\(key)&channel=firehose"))?.subscription?.audience
                == .owner(world.ada.id, limit: nil))
    }

    @Test("A key that is limited to pages is so on both channels")
    func pageLimit() async throws {
        let key = try await world.maker.key(world.ada, pages: [world.side])
        #expect(
            refused(try await decide("auth=\(key)&channel=activity-feed&room=main"))?.status == .forbidden)
        #expect(
            accepted(try await decide("auth=\(key)&channel=firehose&room=nope"))?.subscription?.audience
                == .owner(world.ada.id, limit: [world.side.id]))
    }

    @Test("'since' says where the feed begins")
    func since() async throws {
        let key = try await world.maker.key(world.ada)
        for (query, start) in [
            ("", .live), ("&since=", .live), ("&since=now", .now), ("&since=ab-7", .position("ab-7")),
            ("&since=a+b", .position("a b")),
        ] as [(String, Subscription.Start)] {
            let stream = accepted(try await decide("auth=\(key)&channel=firehose\(query)"))
            #expect(stream?.subscription?.start == start)
        }
    }

    @Test("The handshake's answer and the listener's data are those of the request")
    func acceptedStream() async throws {
        let key = try await world.maker.keyAndID(world.ada)
        let stream = accepted(
            try await decide(
                "auth=\(key.text)&channel=firehose&unknown=1",
                headers: ["x-forwarded-for": "1.1.1.1, 203.0.113.9"]))
        #expect(stream.map { String(buffer: $0.opening) } == Handshake.answer)
        #expect(stream?.subscription?.remoteAddress == "203.0.113.9")
        #expect(stream?.subscription?.connectedAt == world.clock.now)
        #expect(stream?.subscription?.principal.credential == .key(id: key.id))
    }

    @Test("When all places are taken a stream is 503; a refused one takes no place")
    func full() async throws {
        let key = try await world.maker.key(world.ada)
        for _ in 1...8 { _ = try await decide("auth=\(key)&channel=nope") }
        // All places but one are held here: the answers' own are given back when their futures go, at no certain time.
        let held = (1...7).compactMap { _ in quota.take() }
        let first = accepted(try await decide("auth=\(key)&channel=firehose"))
        #expect(first != nil && held.count == 7)
        let second = refused(try await decide("auth=\(key)&channel=firehose"))
        #expect(second?.status == .serviceUnavailable && second?.headers["retry-after"] == ["5"])
        withExtendedLifetime((first, held)) {}
    }

    @Test("An address that keeps failing is told to wait; a good key from there passes")
    func throttled() async throws {
        let key = try await world.maker.key(world.ada)
        let from: HTTPHeaders = ["x-forwarded-for": "203.0.113.9"]
        for _ in 1...3 {
            #expect(refused(try await decide("auth=bad&channel=firehose", headers: from))?.status == .unauthorized)
        }
        let throttled = refused(try await decide("auth=bad&channel=firehose", headers: from))
        #expect(throttled?.status == .tooManyRequests && throttled?.headers["retry-after"] == ["60"])
        #expect(accepted(try await decide("auth=\(key)&channel=firehose", headers: from)) != nil)
        // Another address, and one without a key, are not concerned.
        #expect(refused(try await decide("auth=bad&channel=firehose"))?.status == .unauthorized)
        #expect(refused(try await decide("channel=firehose", headers: from))?.status == .unauthorized)
    }

    @Test("A browser's session opens a feed from the server's own origin only")
    func session() async throws {
        let links = LoginLinks(store: world.store, clock: world.clock.wall, publicURL: { "" })
        let token = try await links.begin(world.ada.id)
        let query = "channel=activity-feed&room=main"
        func withSession(_ token: String, origin: String?) async throws -> StreamDecision {
            var headers: HTTPHeaders = ["cookie": "a=b; tipwire_session=\(token)"]
            if let origin { headers.add(name: "origin", value: origin) }
            return try await decide(query, headers: headers)
        }
        #expect(
            accepted(try await withSession(token, origin: "http://tipwire.test"))?.subscription?.audience
                == .page(world.main.id))
        for origin in ["http://evil.test", "null", nil] {
            #expect(refused(try await withSession(token, origin: origin))?.status == .unauthorized)
        }
        #expect(
            refused(try await withSession("stale", origin: "http://tipwire.test"))?.status == .unauthorized)
    }
}
