import Glibc
import NIOCore
import NIOPosix
import TipwireSockets

/// The sockets that listen on one address: one for each event loop, among which the kernel shares out who comes
/// (`SO_REUSEPORT`, socket(7)).
///
/// Whoever is accepted by a loop stays there. NIO binds, which knows about names and families of addresses, and is never asked
/// to accept: it would make a channel of everybody, and a listener needs none (`Reception`).
struct Acceptors: Sendable {
    private struct Acceptor: Sendable {
        let channel: any Channel
        let reception: NIOLoopBound<Reception>
    }

    /// Connections that may wait to be accepted: a reconnect storm arrives within a moment.
    static let backlog: Int32 = 4_096

    private let acceptors: [Acceptor]
    private let thread: PollThread
    let port: Int

    /// Binds. Throws `IOError` when the address can't be had.
    ///
    /// - Parameters:
    ///   - port: 0 for any that is free, the same on each loop.
    ///   - sendBufferBytes: `SO_SNDBUF` of each connection, which it has from the socket that listens: a system call less
    ///     for each.
    ///   - reception: makes what accepts on an event loop.
    static func bind(
        host: String, port: Int, group: any EventLoopGroup, sendBufferBytes: Int,
        reception: @escaping @Sendable (SocketPoll) -> Reception
    ) async throws -> Acceptors {
        let shared = ChannelOptions.socketOption(NIOBSDSocket.Option(rawValue: SO_REUSEPORT))
        let thread = try PollThread()
        var acceptors: [Acceptor] = []
        var port = port
        do {
            for loop in group.makeIterator() {
                let channel = try await ServerBootstrap(group: loop)
                    .serverChannelOption(.autoRead, value: false)
                    .serverChannelOption(.backlog, value: backlog)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .serverChannelOption(shared, value: acceptors.isEmpty ? 0 : 1)
                    .serverChannelOption(.socketOption(.so_sndbuf), value: .init(sendBufferBytes))
                    .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .bind(host: host, port: port).get()
                do {
                    let made = try await loop.submit { try open(reception, on: channel, thread) }.get()
                    acceptors.append(Acceptor(channel: channel, reception: made))
                } catch {
                    try? await channel.close()
                    throw error
                }
                // Not before it listens, alone: else a second server could take the same port, and half of the clients.
                if acceptors.count == 1 { try await channel.setOption(shared, value: 1).get() }
                port = channel.localAddress?.port ?? port
            }
        } catch {
            let begun = Acceptors(acceptors: acceptors, thread: thread, port: port)
            try? await begun.quiesce(on: group.next()).get()
            throw error
        }
        return Acceptors(acceptors: acceptors, thread: thread, port: port)
    }

    private static func open(
        _ make: (SocketPoll) -> Reception, on channel: any Channel, _ thread: PollThread
    ) throws -> NIOLoopBound<Reception> {
        let poll = try SocketPoll(eventLoop: channel.eventLoop)
        let reception = make(poll)
        let descriptor = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let descriptor else { throw ChannelError.operationUnsupported }
        try reception.open(descriptor)
        try thread.add(poll)
        return NIOLoopBound(reception, eventLoop: channel.eventLoop)
    }

    /// Accepts nobody any more, and tells those who are there.
    ///
    /// - Returns: when the last of them has gone.
    func quiesce(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let ends = acceptors.map { acceptor in
            let loop = acceptor.channel.eventLoop
            return loop.flatSubmit { [thread] in
                let reception = acceptor.reception.value
                let end = reception.quiesce()
                // Who still waits in the backlog is told by this.
                acceptor.channel.close(promise: nil)
                return end.map { thread.remove(acceptor.reception.value.poll) }
            }
        }
        return EventLoopFuture.andAllComplete(ends, on: eventLoop).always { [thread] _ in thread.end() }
    }
}
