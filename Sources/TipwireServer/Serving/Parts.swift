import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TipwireCore
import TipwireHub
import TipwireNATS
import TipwireSockets
import TipwireStore
import TipwireWebhooks
import TipwireWire

/// The parts of a server and how they hang together: the path of a tip, downward.
struct Parts: Sendable {
    let configuration: ServerConfiguration
    let store: any Store
    let logger: Logger
    let clock = WallClock.system
    let eventLoops = MultiThreadedEventLoopGroup.singleton
    let startedAt: Timestamp
    let certificate: ServerCertificate?
    /// The sockets of every kind that the main port has open.
    var openSockets: StreamQuota
    /// What the operator should know, once the server is known to start.
    let warnings: [String]

    let publicURL: PublicURL
    let position: LogPosition
    let directory: Directory
    let throttle: FailureThrottle
    let authenticator: Authenticator
    let metrics = HubMetrics()
    let refusals = RefusalCounts()
    let responses = ResponseCounts()
    let drain = DrainState()
    let sessions: SessionCookie
    let addresses: ClientAddress
    let links: LoginLinks

    let intake: TipIntake
    /// What hands events to other nodes and theirs to this one; nil where the store tells of them alone.
    let exchange: EventExchange?
    let reader: CatchUpReader
    private let ring: RingState
    let fanout: Fanout
    let overlayDesk: OverlayDesk
    let announcer: OverlayAnnouncer
    let subscriptionQuota: SubscriptionQuota
    let sockets: SocketSubscriptions
    let resolver: SystemResolver
    let webhooks: WebhookEngine
    let relay: EventRelay
    /// Nil where this server is alone on its store.
    let nodes: NodeKeeper?
    /// How this server stands.
    let report: @Sendable () async -> NodeReport
    private let node = NodeID.random()
    let retention: Retention
    let quota: StreamQuota
    let turns: DrainPlan

    init(
        configuration: ServerConfiguration, store: any Store, certificate: ServerCertificate? = nil, logger: Logger
    ) async throws {
        self.configuration = configuration
        self.store = store
        self.certificate = certificate
        self.logger = logger
        startedAt = clock.now()
        let publicURL = PublicURL(setting: configuration.server.publicURL)
        self.publicURL = publicURL
        position = LogPosition(try await store.bounds())
        directory = try await Directory(store: store, nodes: store as? any NodeStore)
        throttle = FailureThrottle(maxPerMinute: configuration.auth.maxFailuresPerMinute)
        authenticator = Authenticator(
            directory: directory, store: store, clock: clock, throttle: throttle, logger: logger)
        addresses = ClientAddress(trustedProxies: configuration.server.trustedProxies)
        sessions = SessionCookie(publicURL: { publicURL.current })
        links = LoginLinks(store: store, clock: clock, publicURL: { publicURL.current })

        let wakeUp = WakeUp()
        // What the intake tells goes through the exchange, if there is one, which puts it in order with what others tell.
        let local = configuration.wakeup == nil ? wakeUp : WakeUp()
        exchange = try configuration.wakeup.flatMap(NATSAddress.init).map { [position] address in
            try EventExchange(
                at: address, node: (store as? any NodeStore)?.node ?? .random(), position: position, local: local,
                shared: wakeUp, logger: logger)
        }
        intake = TipIntake(
            store: store, position: position, wakeUp: local, clock: clock,
            maxPending: configuration.intake.maxPending, metrics: metrics, logger: logger)
        let encoder = EventEncoder(
            directory: directory, position: position, publicURL: { publicURL.current })
        reader = CatchUpReader(
            store: store, directory: directory, encoder: encoder, metrics: metrics, logger: logger)
        let sendingWay = try Self.sendingWay(configuration.feed.ioUring, logger: logger)
        let ring = RingState(isUsed: sendingWay == .ring)
        self.ring = ring
        fanout = Fanout(
            eventLoops: Array(eventLoops.makeIterator()),
            settings: .init(
                idleSeconds: configuration.feed.idleSeconds, probeSeconds: configuration.feed.probeSeconds,
                maxLagBytes: configuration.feed.maxLagBytes, maxLagSeconds: configuration.feed.maxLagSeconds,
                keepaliveSeconds: configuration.sse.keepaliveSeconds,
                maxStreamSeconds: configuration.sse.maxStreamSeconds),
            log: position, reader: reader, clock: clock,
            // One server counts from 1. Of several each begins elsewhere: whoever closes a connection by its number, and is led
            // to another server than the one that listed it, closes nobody else's.
            connectionsAfter: store is any NodeStore ? Int64.random(in: 1..<1 << 31) << 20 : 0,
            makeSender: {
                sendingWay.makeSender { code in
                    ring.failed()
                    logger.warning(
                        "io_uring failed; events are sent by a system call for each socket from here on",
                        metadata: ["error": "\(SystemReason.text(code))"])
                }
            })
        overlayDesk = OverlayDesk(
            store: store, shared: store as? any SharedOverlayStore, clock: clock, logger: logger)
        announcer = OverlayAnnouncer(fanout: fanout, desk: overlayDesk)
        subscriptionQuota = SubscriptionQuota(
            limits: .init(
                perKey: configuration.eventsub.maxPerKey, perPage: configuration.eventsub.maxPerPage,
                creationsPerMinute: configuration.eventsub.maxCreationsPerMinute))
        sockets = try await SocketSubscriptions(
            store: store, shared: store as? any SharedSocketStore, directory: directory, fanout: fanout,
            position: position, clock: clock, quota: subscriptionQuota, windowSeconds: EventSubObject.windowSeconds,
            logger: logger)
        // The fan-out first, which tells each socket the reason. Who comes back by a subscription in the meantime is ended
        // with it.
        directory.enforce(with: fanout)
        directory.enforce(with: sockets)
        directory.follow(with: announcer)
        relay = EventRelay(
            store: store, position: position, wakeUp: wakeUp, fanout: fanout, encoder: encoder,
            expectedCommit: { [intake] in intake.expectedCommit }, metrics: metrics, logger: logger)
        retention = Retention(
            store: store, position: position, clock: clock, days: configuration.retention.days,
            bytes: Int64(configuration.retention.bytes), interval: .seconds(configuration.retention.checkSeconds),
            metrics: metrics, logger: logger)
        let fitting = DescriptorLimit.fit(
            maxConnections: configuration.feed.maxConnections, maxAttempts: configuration.webhooks.maxAttempts)
        DescriptorTable.makeRoom(for: fitting.descriptors)
        resolver = SystemResolver(group: eventLoops)
        let settings = WebhookEngine.Settings(configuration.webhooks, maxAttempts: fitting.maxAttempts)
        let check = TargetCheck(addresses: settings.policy.addresses, resolver: resolver)
        webhooks = try await WebhookEngine(
            settings: settings, store: store, directory: directory, position: position, wakeUp: wakeUp,
            encoder: encoder, quota: subscriptionQuota, check: check,
            sender: try WebhookSender(
                check: check,
                trustRoots: try configuration.webhooks.trustRoots.map(TrustRoots.init(file:)) ?? .system,
                version: TipwireVersion.text, limits: settings.sending, group: eventLoops),
            clock: SystemDeliveryClock(clock), isShared: store is any NodeStore, logger: logger)
        warnings = fitting.warning.map { [$0] } ?? []
        openSockets = StreamQuota(maximum: fitting.maxSockets, clock: clock) { untold in
            logger.warning(
                "as many sockets are open as the descriptor limit allows; who comes is closed at once",
                metadata: ["closed since the last line": "\(untold)"])
        }
        quota = StreamQuota(maximum: fitting.maxConnections, clock: clock) { untold in
            logger.warning(
                "as many listeners are connected as feed.maxConnections allows; who comes is answered 503",
                metadata: ["refused since the last line": "\(untold)"])
        }
        turns = DrainPlan(quota: quota, seconds: configuration.drain.seconds)
        report = { [fanout, drain, startedAt] in
            await NodeReport(
                name: configuration.nodeName, url: publicURL.own, startedAt: startedAt, isDraining: drain.hasBegun,
                fanout.statistics())
        }
        guard let shared = store as? any NodeStore else {
            nodes = nil
            return
        }
        var expect: (@Sendable (Int64) -> Void)?
        if let exchange { expect = { exchange.expect($0) } }
        nodes = NodeKeeper(
            store: shared, position: position, wakeUp: wakeUp,
            parts: [
                directory, sockets, webhooks, SessionWatch(store: store, fanout: fanout, clock: clock), announcer,
            ],
            report: report, expect: expect, logger: logger)
    }

    private static func sendingWay(_ use: RingUse, logger: Logger) throws -> SendingWay {
        guard use != .never else { return .calls }
        guard let code = SendingWay.ringObstacle() else { return .ring }
        let reason = SystemReason.text(code)
        if use == .always {
            throw StartupError(
                "feed.ioUring is 'always', and io_uring can't be used here: \(reason); set it to 'auto' or 'never'")
        }
        logger.info(
            "io_uring can't be used; events are sent by a system call for each socket",
            metadata: ["reason": "\(reason)"])
        return .calls
    }

    var door: StreamDoor {
        let admission = Admission(
            directory: directory, authenticator: authenticator, quota: quota, addresses: addresses, clock: clock,
            refusals: refusals, logger: logger)
        return StreamDoor(
            sockets: SocketDoor(
                admission: admission, sessions: sessions,
                eventSub: EventSubDoor(admission: admission, sockets: sockets),
                overlays: OverlayDoor(
                    admission: admission, desk: overlayDesk, position: position, logger: logger)),
            eventHook: EventHookDoor(
                admission: admission, sessions: sessions,
                origins: AllowedOrigins(list: configuration.cors.allowedOrigins)))
    }

    private var tipDoor: TipDoor {
        TipDoor(
            directory: directory, authenticator: authenticator, intake: intake, position: position, clock: clock,
            responses: responses, logger: logger)
    }

    func frontContext(
        responder: some HTTPResponder<AppContext>, door: StreamDoor?,
        served: AsyncStream<HTTPBackend.Value>.Continuation
    ) -> FrontContext {
        FrontContext(
            limits: .init(
                head: .seconds(Int64(configuration.http.headSeconds)),
                body: .seconds(Int64(configuration.http.bodySeconds)),
                idle: .seconds(Int64(configuration.http.idleSeconds))),
            streams: door, tips: door == nil ? nil : tipDoor, fanout: fanout,
            maxMessageBytes: configuration.feed.maxMessageBytes, drain: turns,
            backend: HTTPBackend(answering: responder, logger: logger), served: served, responses: responses,
            logger: logger)
    }

    /// Everything that the main port answers.
    func responder() -> some HTTPResponder<AppContext> { router().buildResponder() }

    func router() -> APIRouter {
        let router = makeRouter()
        let publicURL = publicURL
        let passwords = Passwords()
        let overlays = OverlaysController(
            directory: directory, store: store, desk: overlayDesk, announcer: announcer, position: position,
            clock: clock)
        TipsController(
            directory: directory, intake: intake, store: store, overlays: overlays, position: position, clock: clock
        ).addRoutes(to: router)
        overlays.addRoutes(to: router)
        StatisticsController(directory: directory, store: store, clock: clock).addRoutes(to: router)
        GoalsController(directory: directory, intake: intake, store: store, position: position).addRoutes(to: router)
        EventSubController(
            directory: directory, authenticator: authenticator, addresses: addresses, sockets: sockets,
            webhooks: webhooks, store: store
        ).addRoutes(to: router)
        SubscriptionsController(directory: directory, webhooks: webhooks, store: store).addRoutes(to: router)
        PagesController(directory: directory, clock: clock, publicURL: { publicURL.current }).addRoutes(to: router)
        KeysController(directory: directory, authenticator: authenticator, clock: clock).addRoutes(to: router)
        AccountsController(directory: directory, links: links, passwords: passwords, clock: clock)
            .addRoutes(to: router)
        ConnectionsController(directory: directory, fanout: fanout).addRoutes(to: router)
        operating.addRoutes(to: router)
        if let store = store as? any BackupStore {
            BackupController(store: store, dataFolder: configuration.dataFolder, clock: clock, logger: logger)
                .addRoutes(to: router)
        } else {
            BackupController.addRefusal(to: router)
        }
        NodesController(nodes: everyNode).addRoutes(to: router)
        DashboardController(
            directory: directory, authenticator: authenticator, store: store, links: links, passwords: passwords,
            sessions: sessions, throttle: FailureThrottle(maxPerMinute: configuration.auth.maxFailuresPerMinute),
            addresses: addresses, fanout: fanout, clock: clock,
            retention: configuration.retention, publicURL: { publicURL.current }
        ).addRoutes(to: router)
        PublicPageController(directory: directory, store: store).addRoutes(to: router)
        DocumentsController(publicURL: { publicURL.current }).addRoutes(to: router)
        return router
    }

    /// This server, and those that share its store.
    @Sendable private func everyNode() async throws -> [StoredNode] {
        if let nodes { return try await nodes.nodes() }
        let report = await report()
        return [
            StoredNode(
                id: node, report: report, silence: 0, lag: max(0, position.bounds.head - report.relayed), isSender: true
            )
        ]
    }

    /// What the metrics' own port answers.
    func metricsResponder() -> some HTTPResponder<AppContext> {
        let router = makeRouter()
        operating.addOpenRoutes(to: router)
        return router.buildResponder()
    }

    private func makeRouter() -> APIRouter {
        APIRouter(
            guardian: Guardian(authenticator: authenticator, sessions: sessions, addresses: addresses),
            clock: clock, responses: responses, logger: logger)
    }

    private var operating: OperatingController {
        OperatingController(
            store: store, nodes: nodes, intake: intake, drain: drain,
            exposition: MetricsExposition(
                metrics: metrics, intake: intake, exchange: exchange, fanout: fanout,
                isRingUsed: { [ring] in ring.isUsed },
                sockets: sockets,
                webhooks: webhooks,
                subscriptionQuota: subscriptionQuota, store: store, directory: directory,
                position: position, refusals: refusals, responses: responses, quota: quota,
                openSockets: openSockets, certificate: certificate, drain: drain,
                maxPending: configuration.intake.maxPending, dataFolder: configuration.dataFolder,
                startedAt: startedAt, node: nodes == nil ? nil : configuration.nodeName))
    }
}

/// Whether events go by io_uring on every event loop: no more once it has failed on one.
private final class RingState: Sendable {
    private let isWhole: Atomic<Bool>

    init(isUsed: Bool) { isWhole = Atomic(isUsed) }

    var isUsed: Bool { isWhole.load(ordering: .relaxed) }

    func failed() { isWhole.store(false, ordering: .relaxed) }
}

extension ServerConfiguration {
    /// What this server is called among others.
    var nodeName: String { node.name ?? ProcessInfo.processInfo.hostName }
}

extension NodeReport {
    fileprivate init(
        name: String, url: String, startedAt: Timestamp, isDraining: Bool, _ statistics: ShardStatistics
    ) {
        self.init(name: name, version: TipwireVersion.text, url: url, startedAt: startedAt)
        self.isDraining = isDraining
        feed = statistics.feed.connections
        sse = statistics.sse.connections
        eventsub = statistics.eventsub.connections
        overlay = statistics.overlay.connections
        relayed = statistics.relayed
    }
}

extension WebhookEngine.Settings {
    fileprivate init(_ settings: ServerConfiguration.Webhooks, maxAttempts: Int) {
        self.init()
        policy = CallbackPolicy(
            addresses: AddressGuard(allowedNetworks: settings.allowedNetworks), allowsHTTP: settings.allowHTTP)
        requiresChallenge = settings.requireChallenge
        secretOverlap = Int64(settings.secretOverlapSeconds) * 1_000
        maxPending = settings.maxPending
        maxConcurrent = settings.maxConcurrent
        self.maxAttempts = maxAttempts
        maxHistory = settings.maxHistory
    }

    /// Connections idle for half as many attempts as there may be.
    fileprivate var sending: SendingLimits {
        var limits = SendingLimits()
        limits.idle = max(1, maxAttempts / 2)
        return limits
    }
}
