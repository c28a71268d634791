import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks

@testable import TipwireServer

/// A whole server in this process, on a port of its own: `admin` owns `main` and `side`.
struct TestServer {
    struct Options {
        var configuration = ServerConfiguration()
        var limits: FrontContext.Limits?
        /// Most sockets at a time; nil for what the descriptors allow.
        var maxSockets: Int?
        /// Binds the port that serves metrics alone.
        var isMetricsPort = false
        /// Puts something of a test's own in front of the store.
        var store: @Sendable (SQLiteStore) -> any Store = { $0 }

        init() {
            configuration.feed.maxConnections = 64
            configuration.drain.seconds = 1
        }
    }

    let parts: Parts
    let front: Front
    let administrator: Account
    let main: Page
    let side: Page
    /// A key with the scope `admin`.
    let admin: String
    private let services: ServiceGroup

    /// Runs `body` beside a server, then drains the server and waits for its end.
    static func run(
        _ configure: (inout Options) -> Void = { _ in }, _ body: (TestServer) async throws -> Void
    ) async throws {
        var options = Options()
        configure(&options)
        let folder = try TemporaryFolder()
        let base = try SQLiteStore.open(at: folder.path + "/tipwire.db")
        let store = options.store(base)
        var parts = try await Parts(configuration: options.configuration, store: store, logger: World.quiet)
        if let most = options.maxSockets { parts.openSockets = StreamQuota(maximum: most) }
        let server = try await TestServer(parts: parts, options: options)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.services.run() }
            do {
                try await body(server)
            } catch {
                await server.services.triggerGracefulShutdown()
                throw error
            }
            await server.services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
        parts.fanout.stop()
        await parts.resolver.shutdown()
        try await base.close()
    }

    private init(parts: Parts, options: Options) async throws {
        let maker = Maker(directory: parts.directory, clock: parts.clock)
        self.parts = parts
        administrator = try await maker.account("admin")
        main = try await maker.page("main", owner: administrator)
        side = try await maker.page("side", owner: administrator)
        admin = try await maker.key(administrator, [.admin])
        front = try await Front.bind(
            host: "127.0.0.1", port: 0, group: parts.eventLoops,
            quota: parts.openSockets,
            sendBufferBytes: options.configuration.feed.sendBufferBytes,
            drainLimit: .seconds(options.configuration.drain.seconds), onDrain: { parts.drain.begin() },
            context: { served in
                let whole =
                    options.isMetricsPort
                    ? parts.frontContext(responder: parts.metricsResponder(), door: nil, served: served)
                    : parts.frontContext(responder: parts.responder(), door: parts.door, served: served)
                guard let limits = options.limits else { return whole }
                return FrontContext(
                    limits: limits, streams: whole.streams, tips: whole.tips, fanout: whole.fanout,
                    maxMessageBytes: whole.maxMessageBytes, drain: whole.drain, backend: whole.backend,
                    served: served, responses: whole.responses, logger: whole.logger)
            })
        parts.publicURL.settle(on: "http://127.0.0.1:\(front.port)")
        services = ServiceGroup(
            configuration: .init(
                services: [
                    parts.authenticator, parts.retention, parts.webhooks, parts.reader, parts.relay, parts.sockets,
                    parts.overlayDesk, parts.intake, front,
                ],
                logger: World.quiet))
    }

    var maker: Maker { Maker(directory: parts.directory, clock: parts.clock) }

    /// Begins the shutdown, as a signal does.
    func drain() async { await services.triggerGracefulShutdown() }

    func connect() async throws -> Wire { try await Wire.open(port: front.port) }

    /// One request on a connection of its own.
    func call(
        _ method: String, _ path: String, key: String? = nil, json: String? = nil, headers: String = ""
    ) async throws -> Reply {
        let wire = try await connect()
        try await wire.send(request(method, path, key: key, json: json, headers: "Connection: close\r\n" + headers))
        let reply = try await wire.reply(isHead: method == "HEAD")
        await wire.close()
        return reply
    }

    /// The bytes of a request.
    func request(
        _ method: String, _ path: String, key: String? = nil, json: String? = nil, headers: String = ""
    ) -> String {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(front.port)\r\n"
        if let key { text += "Authorization: Bearer \(key)\r\n" }
        if let json { text += "Content-Type: application/json\r\nContent-Length: \(json.utf8.count)\r\n" }
        return text + headers + "\r\n" + (json ?? "")
    }

    /// The head of a request with a body of 26 bytes, which a tip of $5.00 has: `{"grossAmountInCents":500}`.
    func tipHead(headers: String = "") -> String {
        request(
            "POST", "/api/v1/pages/main/tips", key: admin,
            headers: "Content-Type: application/json\r\nContent-Length: 26\r\n" + headers)
    }

    /// An open feed.
    func feed(_ query: String, headers: String = "") async throws -> Wire {
        let wire = try await connect()
        try await wire.send(Handshake.request("/?\(query)", headers: headers))
        let answer = try await wire.text(through: "\r\n\r\n")
        try #require(answer == Handshake.answer)
        return wire
    }

    /// An open feed of one page.
    func feed(of page: Page, key: String) async throws -> Wire {
        try await feed("auth=\(key)&channel=activity-feed&room=\(page.slug)")
    }

    /// Sends a tip and expects it to be taken.
    @discardableResult
    func tip(_ page: String = "main", _ json: String = #"{"grossAmountInCents":500}"#) async throws -> Reply {
        let reply = try await call("POST", "/api/v1/pages/\(page)/tips", key: admin, json: json)
        try #require(reply.status == 201)
        return reply
    }
}
