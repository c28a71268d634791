import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import ServiceLifecycle

/// The listening port: accepts every connection itself, and sends each where its first request says.
///
/// Hummingbird's own server would start a task and an async channel for each accept; a stream must cost neither.
struct Front: Service {
    private let acceptors: Acceptors
    private let eventLoop: any EventLoop
    private let context: FrontContext
    private let served: AsyncStream<HTTPBackend.Value>
    private let drainLimit: Duration
    private let onDrain: @Sendable () -> Void
    /// Finished when the drain need not be waited for any longer.
    private let drained = AsyncStream<Void>.makeStream()

    /// Binds. Throws `IOError` when the address can't be had.
    ///
    /// - Parameters:
    ///   - quota: open connections of every kind; one more is closed as it is accepted. It keeps free descriptors for those
    ///     who are there, and the accept loop from spinning on an error.
    ///   - certificate: makes the port speak TLS.
    ///   - sendBufferBytes: `SO_SNDBUF` of each connection: without it the kernel hides megabytes of lag.
    ///   - onDrain: called at once when the shutdown begins.
    static func bind(
        host: String, port: Int, group: any EventLoopGroup, quota: StreamQuota, sendBufferBytes: Int,
        drainLimit: Duration, certificate: ServerCertificate? = nil,
        onDrain: @escaping @Sendable () -> Void,
        context makeContext: (AsyncStream<HTTPBackend.Value>.Continuation) -> FrontContext
    ) async throws -> Front {
        // Unbounded, but at most one element for each open connection.
        let (served, continuation) = AsyncStream<HTTPBackend.Value>.makeStream()
        let context = makeContext(continuation).speaking(plainly: certificate == nil)
        let initialize: @Sendable (any Channel, Reception, RequestGate.Entrance) throws -> Void = {
            channel, reception, entrance in
            guard let certificate else {
                return try context.speakHTTP(on: channel, at: reception, as: entrance)
            }
            let handshake = HandshakeGate(limit: context.limits.head) { negotiated, channel in
                if negotiated == ServerCertificate.http2 {
                    try context.speakHTTP2(on: channel)
                } else {
                    try context.speakHTTP(on: channel, at: reception)
                }
            }
            try channel.pipeline.syncOperations.addHandlers(
                [NIOSSLServerHandler(context: certificate.context), handshake])
        }
        let acceptors = try await Acceptors.bind(
            host: host, port: port, group: group, sendBufferBytes: sendBufferBytes
        ) { poll in
            Reception(poll: poll, front: context, quota: quota, initialize: initialize)
        }
        return Front(
            acceptors: acceptors, eventLoop: group.next(), context: context, served: served, drainLimit: drainLimit,
            onDrain: onDrain)
    }

    private init(
        acceptors: Acceptors, eventLoop: any EventLoop, context: FrontContext,
        served: AsyncStream<HTTPBackend.Value>, drainLimit: Duration, onDrain: @escaping @Sendable () -> Void
    ) {
        self.acceptors = acceptors
        self.eventLoop = eventLoop
        self.context = context
        self.served = served
        self.drainLimit = drainLimit
        self.onDrain = onDrain
    }

    /// The port that was bound.
    var port: Int { acceptors.port }

    /// Serves until the graceful shutdown, then until the last connection is gone or the drain's time is up.
    func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { connections in
                    for await channel in served {
                        connections.addTask { await context.backend.handle(value: channel, logger: context.logger) }
                    }
                }
            }
            try? await gracefulShutdown()
            onDrain()
            await wait(for: acceptors.quiesce(on: eventLoop))
            context.served.finish()
            group.cancelAll()
        }
    }

    /// Ends the drain, or the one to come: whoever is still connected is cut.
    func cut() { drained.continuation.finish() }

    private func wait(for closed: EventLoopFuture<Void>) async {
        let (ended, continuation) = drained
        closed.whenComplete { _ in continuation.finish() }
        let limit = TimeAmount.nanoseconds(drainLimit.components.seconds * 1_000_000_000)
        let timer = eventLoop.scheduleTask(in: limit) { continuation.finish() }
        for await _ in ended {}
        timer.cancel()
    }
}
