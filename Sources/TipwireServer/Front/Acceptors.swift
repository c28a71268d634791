import Glibc
import NIOCore
import NIOExtras
import NIOPosix

/// The sockets that listen on one address: one for each event loop, among which the kernel shares out who comes
/// (`SO_REUSEPORT`, socket(7)).
///
/// Whoever is accepted by a loop stays there. With one socket for all, most are accepted on another loop than theirs, and
/// NIO takes them there in three hops, each of which wakes a thread.
struct Acceptors: Sendable {
    private struct Acceptor: Sendable {
        let channel: any Channel
        let quiescing: ServerQuiescingHelper
    }

    /// Connections that may wait to be accepted: a reconnect storm arrives within a moment.
    static let backlog: Int32 = 4_096

    private let acceptors: [Acceptor]
    let port: Int

    /// Binds. Throws `IOError` when the address can't be had.
    ///
    /// - Parameters:
    ///   - port: 0 for any that is free, the same on each loop.
    ///   - sendBufferBytes: `SO_SNDBUF` of each connection, which it has from the socket that listens: a system call less
    ///     for each.
    static func bind(
        host: String, port: Int, group: any EventLoopGroup, sendBufferBytes: Int,
        accept: @escaping @Sendable (any Channel, Newcomers) throws -> Void
    ) async throws -> Acceptors {
        let shared = ChannelOptions.socketOption(NIOBSDSocket.Option(rawValue: SO_REUSEPORT))
        var acceptors: [Acceptor] = []
        var port = port
        do {
            for loop in group.makeIterator() {
                let quiescing = ServerQuiescingHelper(group: loop)
                let newcomers = NIOLoopBoundBox.makeBoxSendingValue(Newcomers(eventLoop: loop), eventLoop: loop)
                let channel = try await ServerBootstrap(group: loop)
                    .serverChannelOption(.backlog, value: backlog)
                    .serverChannelOption(.maxMessagesPerRead, value: UInt(Newcomers.burst))
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .serverChannelOption(shared, value: acceptors.isEmpty ? 0 : 1)
                    .serverChannelOption(.socketOption(.so_sndbuf), value: .init(sendBufferBytes))
                    .serverChannelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandlers(
                                [AcceptPacer(newcomers.value), quiescing.makeServerChannelHandler(channel: channel)])
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
                        channel.eventLoop.makeCompletedFuture { try accept(channel, newcomers.value) }
                    }
                    .bind(host: host, port: port).get()
                acceptors.append(Acceptor(channel: channel, quiescing: quiescing))
                // Not before it listens, alone: else a second server could take the same port, and half of the clients.
                if acceptors.count == 1 { try await channel.setOption(shared, value: 1).get() }
                port = channel.localAddress?.port ?? port
            }
        } catch {
            for acceptor in acceptors { try? await acceptor.channel.close() }
            throw error
        }
        return Acceptors(acceptors: acceptors, port: port)
    }

    /// Accepts nobody any more, and tells those who are there (`ChannelShouldQuiesceEvent`).
    ///
    /// - Returns: when the last of them has gone.
    func quiesce(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let ends = acceptors.map { acceptor in
            let end = acceptor.channel.eventLoop.makePromise(of: Void.self)
            acceptor.quiescing.initiateShutdown(promise: end)
            return end.futureResult
        }
        return EventLoopFuture.andAllComplete(ends, on: eventLoop)
    }
}
