import HummingbirdCore
import Logging
import NIOCore
import NIOExtras
import NIOHTTP1
import NIOPosix
import NIOSSL
import ServiceLifecycle

/// The listening port: accepts every connection itself, and sends each where its first request says.
///
/// Hummingbird's own server would start a task and an async channel for each accept; a stream must cost neither.
struct Front: Service {
    /// Connections that may wait to be accepted: a reconnect storm arrives within a moment.
    static let backlog: Int32 = 4_096
    /// Accepts of one turn of the event loop, so that a storm is taken in without starving who is there already.
    static let acceptBurst: UInt = 16

    let channel: any Channel
    private let quiescing: ServerQuiescingHelper
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
        let quiescing = ServerQuiescingHelper(group: group)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.maxMessagesPerRead, value: acceptBurst)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Accepted sockets have it from the one that listens: a system call less for each.
            .serverChannelOption(.socketOption(.so_sndbuf), value: .init(sendBufferBytes))
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        quiescing.makeServerChannelHandler(channel: channel))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A channel keeps the buffer that it first read into. Requests that say more grow it as they come.
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 64, initial: StreamLimits.readBytes, maximum: 65_536)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let permit = quota.take() else { throw ChannelError.ioOnClosedChannel }
                    channel.closeFuture.whenComplete { _ in withExtendedLifetime(permit) {} }
                    guard let certificate else { return try context.speakHTTP(on: channel) }
                    let handshake = HandshakeGate(limit: context.limits.head) { negotiated, channel in
                        if negotiated == ServerCertificate.http2 {
                            try context.speakHTTP2(on: channel)
                        } else {
                            try context.speakHTTP(on: channel)
                        }
                    }
                    try channel.pipeline.syncOperations.addHandlers(
                        [NIOSSLServerHandler(context: certificate.context), handshake])
                }
            }
            .bind(host: host, port: port).get()
        return Front(
            channel: channel, quiescing: quiescing, context: context, served: served, drainLimit: drainLimit,
            onDrain: onDrain)
    }

    private init(
        channel: any Channel, quiescing: ServerQuiescingHelper, context: FrontContext,
        served: AsyncStream<HTTPBackend.Value>, drainLimit: Duration, onDrain: @escaping @Sendable () -> Void
    ) {
        self.channel = channel
        self.quiescing = quiescing
        self.context = context
        self.served = served
        self.drainLimit = drainLimit
        self.onDrain = onDrain
    }

    /// The port that was bound.
    var port: Int { channel.localAddress?.port ?? 0 }

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
            let closed = channel.eventLoop.makePromise(of: Void.self)
            quiescing.initiateShutdown(promise: closed)
            await wait(for: closed.futureResult)
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
        let timer = channel.eventLoop.scheduleTask(in: limit) { continuation.finish() }
        for await _ in ended {}
        timer.cancel()
    }
}
