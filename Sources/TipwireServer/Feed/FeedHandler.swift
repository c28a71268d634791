import NIOCore
import TipwireCore
import TipwireHub
import TipwireWire

/// One Pally feed: a WebSocket with nothing else in its pipeline.
///
/// What bytes mean is decided by `WebSocketSession`, what to deliver by the shard; this moves bytes between them and the
/// channel, and owns the closing handshake's time limit.
final class FeedHandler: StreamHandler, SubscriberSink {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let pong = WebSocketFrame.text(ByteBuffer(string: "pong"))
    private static let ping = WebSocketFrame.ping(ByteBuffer())

    private let stream: AcceptedStream
    private let shard: Shard
    private var session: WebSocketSession
    private var context: ChannelHandlerContext?
    private var subscriber: Subscriber?
    private var isClosing = false
    private(set) var isWritable = true

    init(stream: AcceptedStream, shard: Shard, maxMessageBytes: Int) {
        self.stream = stream
        self.shard = shard
        session = WebSocketSession(maxMessageBytes: maxMessageBytes)
    }

    /// Subscribes, then answers the handshake: an event committed after the answer was read can't be missed.
    func begin() {
        guard let context else { preconditionFailure("a feed begins in its pipeline") }
        isWritable = context.channel.isWritable
        let subscriber = shard.subscribe(stream.subscription, sink: self)
        self.subscriber = subscriber
        context.writeAndFlush(wrapOutboundOut(stream.opening), promise: nil)
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
        if let subscriber { shard.remove(subscriber) }
        subscriber = nil
        context = nil
    }

    // MARK: Inbound

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        while let event = session.receive(&bytes) {
            if let subscriber { shard.heard(subscriber) }
            handle(event, context: context)
        }
    }

    private func handle(_ event: WebSocketEvent, context: ChannelHandlerContext) {
        switch event {
        case .text(let text):
            switch PallyClientMessage.parse(text) {
            case .ping: send(Self.pong)
            case .echo(let payload): send(WebSocketFrame.text(payload))
            case .other: break
            }
        case .binary, .pong:
            break
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
            context.close(promise: nil)
        default:
            break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A broken connection, seen by its socket. There is nobody left to tell.
        context.close(promise: nil)
    }

    // MARK: Outbound

    private func send(_ frame: ByteBuffer) {
        context?.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    func write(_ bytes: ByteBuffer) { send(bytes) }

    func resumed(_ resumption: Resumption, epoch: String) {
        send(PallyResumed.frame(resumption, epoch: epoch))
    }

    func probe() {
        if isWritable { send(Self.ping) }
    }

    func end(_ reason: EndReason) {
        subscriber = nil
        switch reason {
        case .keyRevoked: close(.policyViolation, "the key was revoked")
        case .keyExpired: close(.policyViolation, "the key has expired")
        case .accessLost: close(.policyViolation, "the page is no longer open to this key")
        case .closedByOwner: close(.policyViolation, "closed by the owner")
        case .idle: close(.goingAway, "idle for too long; send ping each 60 seconds")
        case .timeIsUp: close(.goingAway, "the stream has had its time; connect again")
        case .slow(let text): close(.tryAgainLater, text)
        }
    }

    private func leaveFanout() {
        if let subscriber { shard.remove(subscriber) }
        subscriber = nil
    }

    private func close(_ code: WebSocketCloseCode, _ reason: String, within limit: TimeAmount = StreamLimits.close) {
        guard let context, !isClosing, let frame = session.sendClose(code, reason: reason) else { return }
        isClosing = true
        // Reading goes on for the peer's answer, even when it takes nothing any more.
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
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
}
