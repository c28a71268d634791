import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks
import UnixSignals

/// A whole server: made of its configuration, run until a signal ends it.
public struct Server {
    private let configuration: ServerConfiguration
    private let isDemo: Bool
    /// How the program was called, for the commands that `--demo` prints.
    private let program: String
    private let logger: Logger

    public init(_ configuration: ServerConfiguration, isDemo: Bool, program: String, logger: Logger) {
        self.configuration = configuration
        self.isDemo = isDemo
        self.program = program
        self.logger = logger
    }

    /// Serves until SIGTERM or SIGINT, and returns when everything that was taken in is kept and answered.
    ///
    /// Throws `StartupError` or `StoreUnusable`, each one line for the operator, when it can't start.
    public func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        // Until it is watched for, it ends nothing.
        signal(SIGHUP, SIG_IGN)
        // Whatever is written here is the operator's alone, in a folder of any mode.
        umask(0o077)
        let certificate = try configuration.tls.files.map(ServerCertificate.init(certificate:key:))
        // A first start makes nothing before it knows that it can be reached: it would leave a folder behind, and the next would be
        // no first start, with no link to sign in by. Of a folder that is in use there is more to say than of its port.
        if DataFolder.holder(of: configuration.dataFolder) == nil { try await probePorts() }
        let folder = try DataFolder.open(configuration.dataFolder)
        defer { folder.leave() }
        let opened = try await OpenedStore.open(configuration, in: folder)
        let store = opened.store
        let parts = try await Parts(
            configuration: configuration, store: store, certificate: certificate, logger: logger)
        let setup = Setup(
            directory: parts.directory, store: store, position: parts.position, folder: folder, clock: parts.clock,
            logger: logger)
        let (administrator, isFirstStart) = try await setup.administrator()
        let demoKey = isDemo ? try await setup.demo(owner: administrator.id) : nil

        let front = try await bind(parts)
        let metrics: Front? =
            if let port = configuration.metrics.port { try await bindMetrics(parts, port: port) } else { nil }
        let url = "\(certificate == nil ? "http" : "https")://\(Self.shown(configuration.host)):\(front.port)"
        parts.publicURL.settle(on: url)
        folder.tell(url: url, host: configuration.host, port: front.port, metricsPort: metrics?.port)
        try await parts.nodes?.begin()
        for warning in parts.warnings { logger.warning("\(warning)") }
        certificate?.warn(logger: logger)
        logger.info(
            "started", metadata: ["version": "\(TipwireVersion.text)", "url": "\(url)", "data": "\(folder.path)"])
        // First in, last out: for as long as anything of this server runs the others must know that it is there.
        var services: [any Service] = parts.nodes.map { [$0] } ?? []
        services += [
            parts.authenticator, parts.retention, parts.webhooks, parts.reader, parts.relay, parts.sockets,
            parts.overlayDesk,
            parts.intake,
            HangupWatch { [logger] in
                guard let certificate else { return logger.info("SIGHUP: there is no certificate to read again") }
                certificate.reload(logger: logger)
            },
        ]
        // Between those who read what it passes on, who end after it, and the intake, which ends before it.
        if let exchange = parts.exchange {
            services.insert(exchange, at: services.firstIndex { $0 is TipIntake } ?? services.endIndex)
        }
        if let metrics {
            logger.info("serving metrics", metadata: ["port": "\(metrics.port)"])
            services.append(metrics)
        }
        let (up, isUp) = AsyncStream<Void>.makeStream()
        let announce: @Sendable () async throws -> Void = { [parts, program, isDemo] in
            var text = Announcement.listening(on: url)
            if isFirstStart || isDemo {
                text += Announcement.link(try await parts.links.make(for: administrator.id).url)
            }
            if let demoKey { text += Announcement.demo(key: demoKey, url: url, program: program) }
            Announcement.print(text)
            isUp.finish()
        }
        services.append(AnnouncedService(service: front, announce: announce))
        // The front is last in, and so first out: what it has taken is committed and answered before the rest stops.
        // By the names of their types: a name of the group's own making is a reflection of all that a service holds, and eight
        // of those take a sixth of a start.
        let named = services.map {
            ServiceGroupConfiguration.ServiceConfiguration(service: $0, serviceName: "\(type(of: $0))")
        }
        let group = ServiceGroup(configuration: .init(services: named, logger: Self.quiet(logger)))
        let signals = await StopSignals()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [logger, drainSeconds = configuration.drain.seconds] in
                // A group that doesn't run yet can't be shut down, only stopped from ever running.
                for await _ in up {}
                await signals.watch(logger: logger) {
                    await group.triggerGracefulShutdown()
                    // What is not kept by then, because the store doesn't answer, will not be. Beside this, which has to hear
                    // of a second signal.
                    Task {
                        try? await Task.sleep(for: .seconds(drainSeconds))
                        opened.hasten()
                    }
                } hasten: {
                    front.cut()
                    opened.hasten()
                }
            }
            try await group.run()
            tasks.cancelAll()
        }
        parts.fanout.stop()
        await parts.resolver.shutdown()
        try await opened.close()
        logger.info("stopped")
    }

    private func probePorts() async throws {
        for port in configuration.ports {
            do {
                try await port.probe(host: configuration.host)
            } catch {
                throw StartupError(binding: configuration.host, to: port, error)
            }
        }
    }

    private func bind(_ parts: Parts) async throws -> Front {
        let host = configuration.host
        do {
            return try await Front.bind(
                host: host, port: configuration.port, group: parts.eventLoops, quota: parts.openSockets,
                sendBufferBytes: configuration.feed.sendBufferBytes,
                drainLimit: .seconds(configuration.drain.seconds), certificate: parts.certificate,
                onDrain: { parts.drain.begin() },
                context: { served in
                    parts.frontContext(responder: parts.responder(), door: parts.door, served: served)
                })
        } catch {
            throw StartupError(binding: host, to: .main(configuration.port), error)
        }
    }

    /// A second port with `/metrics` alone, and with room of its own: a full house can be looked into.
    private func bindMetrics(_ parts: Parts, port: Int) async throws -> Front {
        do {
            return try await Front.bind(
                host: configuration.host, port: port, group: parts.eventLoops,
                quota: StreamQuota(maximum: parts.openSockets.maximum),
                sendBufferBytes: configuration.feed.sendBufferBytes, drainLimit: .seconds(1), onDrain: {},
                context: { served in
                    parts.frontContext(responder: parts.metricsResponder(), door: nil, served: served)
                })
        } catch {
            throw StartupError(binding: configuration.host, to: .metrics(port), error)
        }
    }

    /// The host as a link shows it: an address that can be opened, also when the server listens on all.
    private static func shown(_ host: String) -> String {
        switch host {
        case "0.0.0.0", "::": "127.0.0.1"
        default: host.contains(":") ? "[\(host)]" : host
        }
    }

    /// The service group tells of every step of its life; here only what went wrong is news.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .error)
        return logger
    }
}

/// Runs a service and, once signals are handled and the service is up, says so.
private struct AnnouncedService: Service {
    let service: any Service
    let announce: @Sendable () async throws -> Void

    func run() async throws {
        try await announce()
        try await service.run()
    }
}
