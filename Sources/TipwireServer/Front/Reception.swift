import Glibc
import NIOCore
import NIOPosix
import TipwireSockets

/// Where one event loop accepts who comes, and keeps those who are streams and nothing else, beside the channels of all others.
///
/// Belongs to its event loop.
final class Reception {
    /// Who has said nothing for so long is given a channel, which has limits of its own for that.
    private static let patience = TimeAmount.seconds(1)
    /// After so long a request that had been sent when the server began to go down has been read.
    private static let grace = TimeAmount.milliseconds(100)
    /// When the process can open no more, those who come are looked at again after so long.
    private static let pause = TimeAmount.milliseconds(100)
    /// Bytes of one read of a channel: up to four hundred requests.
    private static let longestRead = 16_384

    let poll: SocketPoll
    let newcomers: Newcomers
    /// Requests that came behind others, before these were answered. A rest of three rounds: their answers come in it.
    let pipelined: Rounds<() -> Void>
    /// What makes a stream of a connection without a channel; nil where everybody needs one.
    let streams: (door: StreamDoor, front: FrontContext)?
    private let quota: StreamQuota
    private let initialize: @Sendable (any Channel, Reception, RequestGate.Entrance) throws -> Void
    private var listener: ListeningSocket?
    /// There may be more to accept than was accepted.
    private var isAcceptHeld = false
    /// There was no room for more, and it is looked again in a while.
    private var isPausing = false
    private var silent = CircularBuffer<Arrival>()
    private var isWatchingSilence = false
    /// Each with what lives as long as its connection.
    private var channels: [ObjectIdentifier: (channel: any Channel, companion: AnyObject?)] = [:]
    private var end: EventLoopPromise<Void>?

    /// - Parameters:
    ///   - front: who takes streams in; nil if nobody does.
    ///   - quota: open connections of every kind; one more is closed as it is accepted.
    ///   - initialize: makes a pipeline.
    init(
        poll: SocketPoll, front: FrontContext?, quota: StreamQuota,
        initialize: @escaping @Sendable (any Channel, Reception, RequestGate.Entrance) throws -> Void
    ) {
        self.poll = poll
        self.quota = quota
        self.initialize = initialize
        streams = front.flatMap { front in
            // Over TLS nothing that is sent means anything before a channel has read it.
            front.isPlain ? front.streams.map { ($0, front) } : nil
        }
        newcomers = Newcomers(eventLoop: poll.eventLoop)
        pipelined = Rounds(eventLoop: poll.eventLoop, restFactor: 3) { $0() }
        newcomers.roomMade = { [weak self] in
            if let self, isAcceptHeld { accept() }
        }
        // In a step of its own: the last one may be on its way into a channel.
        poll.emptied = { [weak self, eventLoop = poll.eventLoop] in
            eventLoop.assumeIsolated().execute { self?.tellOfEnd() }
        }
    }

    var isQuiescing: Bool { end != nil }

    // MARK: Accepting

    /// Accepts from a socket that listens, which stays the caller's.
    func open(_ descriptor: NIOBSDSocket.Handle) throws {
        listener = try ListeningSocket(descriptor, in: poll) { [unowned self] in accept() }
    }

    private func accept() {
        guard let listener, !isPausing else { return }
        isAcceptHeld = false
        let began = NIODeadline.now()
        var count = 0
        while count < Newcomers.burst {
            guard newcomers.hasRoom else {
                isAcceptHeld = true
                return
            }
            switch listener.accept() {
            case .connection(let descriptor, let address):
                count += 1
                arrived(descriptor, from: address, now: began)
            case .nobody:
                return
            case .noRoom:
                isPausing = true
                poll.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
                    self.isPausing = false
                    self.accept()
                }
                return
            }
        }
        isAcceptHeld = true
        newcomers.rest(since: began)
    }

    private func arrived(_ descriptor: NIOBSDSocket.Handle, from address: SocketAddress?, now: NIODeadline) {
        guard let permit = quota.take() else {
            close(descriptor)
            return
        }
        guard streams != nil else { return openChannel(for: descriptor, keeping: permit, as: .newcomer) }
        do {
            let arrival = try Arrival(descriptor, from: address, at: self, now: now)
            arrival.companion = permit
            silent.append(arrival)
            watchSilence()
        } catch {
            close(descriptor)
        }
    }

    private func watchSilence() {
        while let first = silent.first, !first.isSilent { silent.removeFirst() }
        guard let first = silent.first, !isWatchingSilence else { return }
        isWatchingSilence = true
        let due = first.accepted + Self.patience
        poll.eventLoop.assumeIsolated().scheduleTask(deadline: due) {
            self.isWatchingSilence = false
            let now = NIODeadline.now()
            while let first = self.silent.first, first.accepted + Self.patience <= now {
                self.silent.removeFirst()
                if first.isSilent { first.becomeChannel(as: .silent) }
            }
            self.watchSilence()
        }
    }

    // MARK: Channels

    /// Makes a connection a channel.
    ///
    /// - Parameters:
    ///   - companion: lives as long as the channel.
    ///   - entrance: what has been seen of it.
    func openChannel(
        for descriptor: NIOBSDSocket.Handle, keeping companion: AnyObject?, as entrance: RequestGate.Entrance
    ) {
        let kept = NIOLoopBound((companion, self), eventLoop: poll.eventLoop)
        _ = ClientBootstrap(group: poll.eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            // A channel keeps the buffer that it first read into. Requests that say more grow it as they come, up to what is decoded before
            // the next connection has its turn.
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 64, initial: StreamLimits.readBytes, maximum: Self.longestRead)
            )
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { [initialize] channel in
                let (companion, reception) = kept.value
                reception.opened(channel, keeping: companion)
                return channel.eventLoop.makeCompletedFuture { try initialize(channel, reception, entrance) }
            }
            .withConnectedSocket(descriptor)
    }

    private func opened(_ channel: any Channel, keeping companion: AnyObject?) {
        let id = ObjectIdentifier(channel)
        channels[id] = (channel, companion)
        if isQuiescing {
            // It has sent something, which the channel reads first.
            channel.eventLoop.assumeIsolated().scheduleTask(in: Self.grace) {
                channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            }
        }
        channel.closeFuture.assumeIsolated().whenComplete { _ in
            self.channels[id] = nil
            self.tellOfEnd()
        }
    }

    /// Takes a connection out of its channel, which ends with that.
    ///
    /// The channel closes its own descriptor; the socket has another of the same connection, so nobody can be given its number.
    ///
    /// - Returns: nil if it has to stay: something is still on its way, or there is no descriptor for it.
    func bareSocket(outOf channel: any Channel) -> BareSocket? {
        guard (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0 else { return nil }
        let copy = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            fcntl($0, F_DUPFD_CLOEXEC, 0)
        }
        guard let copy, copy >= 0 else { return nil }
        guard let socket = try? BareSocket(copy, in: poll) else {
            close(copy)
            return nil
        }
        socket.companion = channels[ObjectIdentifier(channel)]?.companion
        channels[ObjectIdentifier(channel)]?.companion = nil
        channel.close(promise: nil)
        return socket
    }

    // MARK: The end

    /// Accepts nobody any more, and tells those who are there.
    ///
    /// - Returns: when the last of them has gone.
    func quiesce() -> EventLoopFuture<Void> {
        if let end { return end.futureResult }
        let promise = poll.eventLoop.makePromise(of: Void.self)
        end = promise
        // Before anybody is told: whoever leaves makes room for one more.
        if let listener {
            self.listener = nil
            _ = listener.release()
        }
        let told = channels.values.map(\.channel)
        // What has come by now is seen to: a request that was sent before is answered.
        poll.look()
        for channel in told { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
        for socket in poll.sockets {
            switch socket {
            case let arrival as Arrival: if arrival.isSilent { arrival.end() }
            case let stream as BareSocket: stream.delegate?.shutDown()
            default: break
            }
        }
        tellOfEnd()
        return promise.futureResult
    }

    private func tellOfEnd() { if channels.isEmpty, poll.count == 0 { end?.succeed(()) } }
}
