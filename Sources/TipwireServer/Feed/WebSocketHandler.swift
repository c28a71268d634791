import NIOCore
import TipwireCore
import TipwireHub
import TipwireWire

/// One WebSocket with nothing else in its pipeline.
///
/// What bytes mean is decided by `WebSocketSession`, what to say by the dialect's voice, what to deliver by the shard; this
/// moves bytes between them and the channel, and owns the closing handshake's time limit.
final class WebSocketHandler: StreamHandler, SubscriberSink {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let ping = WebSocketFrame.ping(ByteBuffer())

    private let stream: AcceptedStream
    private let voice: any SocketVoice
    private let shard: Shard
    private var session: WebSocketSession
    private var context: ChannelHandlerContext?
    private var subscriber: Subscriber?
    private var isClosing = false
    /// What had been delivered when the last ping was sent, and when the last one was answered: a peer that answers has
    /// had everything before.
    private var pinged: Int64?
    private var confirmed: Int64?
    /// The last messages were not all gone when they had been written. Asked then: once a connection is broken, nothing
    /// tells any more what it took.
    private var wasLeftUnsent = false
    private var sign: (promise: EventLoopPromise<Bool>, limit: Scheduled<Void>)?
    private(set) var isWritable = true

    init(stream: AcceptedStream, voice: any SocketVoice, shard: Shard, maxMessageBytes: Int) {
        self.stream = stream
        self.voice = voice
        self.shard = shard
        session = WebSocketSession(maxMessageBytes: maxMessageBytes)
    }

    /// Subscribes, then answers the handshake: an event committed after the answer was read can't be missed.
    func begin() {
        guard let context else { preconditionFailure("a socket begins in its pipeline") }
        isWritable = context.channel.isWritable
        guard case .listen(let subscription) = stream.purpose else {
            if case .farewell(let reason) = stream.purpose {
                send(stream.opening)
                close(.policyViolation, reason)
            }
            return
        }
        let subscriber = shard.subscribe(subscription, sink: self)
        self.subscriber = subscriber
        // Before anything is sent: a peer that is gone already ends this in the middle of the send.
        let holder = SocketConnection(handler: NIOLoopBound(self, eventLoop: context.eventLoop))
        let isWanted = stream.claim?.connect(holder) ?? true
        send(stream.opening)
        guard self.subscriber != nil else { return }
        guard isWanted else {
            leaveFanout()
            close(.policyViolation, "the subscription has ended")
            return
        }
        shard.start(subscriber)
        // The gate may have held a read back while an earlier request of this connection was answered.
        context.read()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        // When this connection carried requests before, the HTTP service behind still waits for its end.
        context.fireChannelInactive()
    }

    private func leave() {
        leaveFanout()
        context = nil
    }

    // MARK: Inbound

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        while let event = session.receive(&bytes) {
            if let subscriber { shard.heard(subscriber) }
            switch event {
            // Who says goodbye is no obstacle to the next.
            case .closed, .violation: break
            case .text, .binary, .ping, .pong: answerSign(true)
            }
            handle(event, context: context)
        }
    }

    private func handle(_ event: WebSocketEvent, context: ChannelHandlerContext) {
        switch event {
        case .text(let text):
            if let answer = voice.answer(to: text) { send(answer) }
        case .binary:
            break
        case .pong:
            confirmed = pinged ?? confirmed
            pinged = nil
        case .ping(let payload):
            send(WebSocketFrame.pong(payload))
        case .closed(let answer, _, _):
            leaveFanout()
            finish(answer, context: context)
        case .violation(let close, _, _):
            leaveFanout()
            finish(close, context: context)
        }
    }

    /// A peer that asks and never reads is not answered without bound: its bytes are left in the kernel until it does.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        try? context.channel.syncOptions?.setOption(.autoRead, value: isWritable || isClosing)
        if isWritable, let subscriber { shard.becameWritable(subscriber) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            leaveFanout()
            close(.goingAway, "the server is shutting down", within: StreamLimits.shutdownClose)
        case ChannelEvent.inputClosed:
            // Without a close frame the peer is gone; a WebSocket has no half-open state to serve.
            leaveFanout()
            context.close(promise: nil)
        default:
            break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A broken connection, seen by its socket. There is nobody left to tell.
        leaveFanout(.broken)
        context.close(promise: nil)
    }

    // MARK: Outbound

    private func send(_ frame: ByteBuffer) {
        context?.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    func write(_ bytes: ByteBuffer) { send(bytes) }

    func write(each entries: [ByteBuffer]) {
        send(voice.frames(entries))
        wasLeftUnsent = hasUnsent
    }

    func resumed(_ resumption: Resumption, epoch: String) {
        if let frame = voice.resumed(resumption, epoch: epoch) { send(frame) }
    }

    var hasUnsent: Bool {
        guard let context else { return true }
        return !isWritable || (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 > 0
    }

    func probe() {
        if isWritable { ping() }
    }

    private func ping() {
        // An answer that is due answers the first of several pings.
        if stream.claim != nil, pinged == nil, let subscriber { pinged = shard.delivered(to: subscriber) }
        send(Self.ping)
    }

    func end(_ reason: EndReason) {
        // The subscriber is out of the fan-out already, and its subscription is free for another socket.
        releaseClaim(reason == .idle ? .dead : .orderly)
        subscriber = nil
        switch reason {
        case .keyRevoked: close(.policyViolation, "the key was revoked")
        case .keyExpired: close(.policyViolation, "the key has expired")
        case .accessLost: close(.policyViolation, "the page is no longer open to this key")
        case .closedByOwner: close(.policyViolation, "closed by the owner")
        case .subscriptionEnded: close(.policyViolation, "the subscription has ended")
        case .idle: close(.goingAway, voice.idleAdvice)
        case .timeIsUp: close(.goingAway, "the stream has had its time; connect again")
        case .slow(let text): close(.tryAgainLater, text)
        }
    }

    private func leaveFanout(_ parting: Parting = .orderly) {
        releaseClaim(parting)
        if let subscriber { shard.remove(subscriber) }
        subscriber = nil
    }

    /// How a socket parts with its subscription.
    private enum Parting {
        case orderly
        /// The connection broke.
        case broken
        /// The peer has shown no life for too long.
        case dead
    }

    /// Gives the subscription of this socket back, with what was delivered. Where that is in doubt it is less rather than
    /// more: a message may come twice, with the same id, and none is missing.
    private func releaseClaim(_ parting: Parting = .orderly) {
        if let claim = stream.claim, let subscriber {
            let isInDoubt =
                switch parting {
                case .orderly: hasUnsent
                case .broken: wasLeftUnsent
                case .dead: true
                }
            let certain = parting == .dead ? confirmed ?? claim.position : shard.flushed(of: subscriber)
            claim.release(position: isInDoubt ? certain : shard.delivered(to: subscriber))
        }
        // Only now: whoever waits for this sign asks for the subscription at once.
        answerSign(false)
    }

    private func close(_ code: WebSocketCloseCode, _ reason: String, within limit: TimeAmount = StreamLimits.close) {
        guard let context, !isClosing, let frame = session.sendClose(code, reason: reason) else { return }
        isClosing = true
        // Reading goes on for the peer's answer, even when it takes nothing any more.
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        if let farewell = voice.farewell(reason) { send(farewell) }
        send(frame)
        closeHard(after: limit, context: context)
    }

    /// The last frame, then the end of our side. The peer's side is read on for a while: closing at once would turn
    /// bytes it is still sending into a reset that destroys the frame.
    private func finish(_ frame: ByteBuffer?, context: ChannelHandlerContext) {
        if let frame, frame.readableBytes > 0 { send(frame) }
        if !isClosing {
            isClosing = true
            closeHard(after: StreamLimits.close, context: context)
        }
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        context.close(mode: .output, promise: nil)
    }

    private func closeHard(after limit: TimeAmount, context: ChannelHandlerContext) {
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    // MARK: Signs of life

    /// Whether the peer shows a sign of life within `limit`. If not, the connection is closed and its subscription free.
    fileprivate func challenge(within limit: TimeAmount) -> EventLoopFuture<Bool> {
        guard let context, subscriber != nil else { return shard.eventLoop.makeSucceededFuture(false) }
        if let sign { return sign.promise.futureResult }
        let promise = context.eventLoop.makePromise(of: Bool.self)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let timer = context.eventLoop.scheduleTask(in: limit) {
            handler.value.leaveFanout(.dead)
            handler.value.context?.close(promise: nil)
        }
        sign = (promise, timer)
        ping()
        return promise.futureResult
    }

    private func answerSign(_ isAlive: Bool) {
        guard let sign else { return }
        self.sign = nil
        sign.limit.cancel()
        sign.promise.succeed(isAlive)
    }

    fileprivate func subscriptionEnded() {
        guard let subscriber else { return }
        shard.end(subscriber, .subscriptionEnded)
    }
}

/// A socket's handler, reachable from any thread: how its subscription calls on it.
struct SocketConnection: SocketHolder {
    let handler: NIOLoopBound<WebSocketHandler>

    func challenge(within limit: TimeAmount) -> EventLoopFuture<Bool> {
        handler.eventLoop.flatSubmit { handler.value.challenge(within: limit) }
    }

    func subscriptionEnded() async {
        // Fails only when the loop has been shut down, and the connection with it.
        try? await handler.eventLoop.submit { handler.value.subscriptionEnded() }.get()
    }
}
