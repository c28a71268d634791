import NIOCore
import TipwireSending
import TipwireWire

/// One WebSocket with nothing else in its pipeline: the protocol, whatever is spoken there.
///
/// What bytes mean is decided by `WebSocketSession`; this moves bytes between it and the channel, answers what the protocol
/// itself wants answered, and owns the closing handshake's time limit. What is said is its heirs' to know. They inherit
/// rather than being called by it: a hundred thousand feeds wait most of the time, and so each of them is one object.
class WebSocketConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How a socket comes to its end.
    enum Parting {
        case orderly
        /// The connection broke.
        case broken
        /// The peer has shown no life for too long.
        case dead
    }

    private var session: WebSocketSession
    private(set) var context: ChannelHandlerContext?
    private(set) var isWritable = true
    private(set) var isClosing = false
    final var outlet = Outlet()

    init(maxMessageBytes: Int) {
        session = WebSocketSession(maxMessageBytes: maxMessageBytes)
    }

    // MARK: For heirs

    /// A whole message came.
    func received(text: ByteBuffer) {}
    func received(binary: ByteBuffer) {}
    func receivedPong() {}
    /// The peer lives: a frame came, if only a fragment of a message. Not called for its goodbye.
    func heard() {}
    func becameWritable() {}
    /// No more is sent: the peer has ended or broken the session, or the connection is gone. May come twice.
    func parted(_ parting: Parting) {}
    /// The server is going down.
    func shutDown() {}
    /// The channel is about to be given bytes that the kernel did not take.
    func held() {}
    /// What is said before our close frame.
    func farewell(_ reason: String) -> ByteBuffer? { nil }

    // MARK: Inbound

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isWritable = context.channel.isWritable
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        parted(.orderly)
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        parted(.orderly)
        self.context = nil
        // When this connection carried requests before, the HTTP service behind still waits for its end.
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        var frames = session.framesReceived
        while true {
            let event = session.receive(&bytes)
            if session.framesReceived != frames {
                frames = session.framesReceived
                switch event {
                // Who says goodbye has no more to show for itself.
                case .closed, .violation: break
                case .text, .binary, .ping, .pong, nil: heard()
                }
            }
            guard let event else { return }
            handle(event, context: context)
        }
    }

    private func handle(_ event: WebSocketEvent, context: ChannelHandlerContext) {
        switch event {
        case .text(let text): received(text: text)
        case .binary(let bytes): received(binary: bytes)
        case .pong: receivedPong()
        case .ping(let payload): send(WebSocketFrame.pong(payload))
        case .closed(let answer, _, _):
            parted(.orderly)
            finish(answer, context: context)
        case .violation(let close, _, _):
            parted(.orderly)
            finish(close, context: context)
        }
    }

    /// A peer that asks and never reads is not answered without bound: its bytes are left in the kernel until it does.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        try? context.channel.syncOptions?.setOption(.autoRead, value: isWritable || isClosing)
        if isWritable { becameWritable() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            shutDown()
        case ChannelEvent.inputClosed:
            // Without a close frame the peer is gone; a WebSocket has no half-open state to serve.
            parted(.orderly)
            context.close(promise: nil)
        default:
            break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A broken connection, seen by its socket. There is nobody left to tell.
        parted(.broken)
        context.close(promise: nil)
    }

    // MARK: Outbound

    final func send(_ bytes: ByteBuffer) {
        guard let context, let rest = outlet.send(bytes, context: context) else { return }
        held()
        context.writeAndFlush(wrapOutboundOut(rest), promise: nil)
    }

    /// Begins the closing handshake, unless it has begun. The peer has `limit` for its part.
    final func close(_ code: WebSocketCloseCode, _ reason: String, within limit: TimeAmount = StreamLimits.close) {
        guard let context, !isClosing, let frame = session.sendClose(code, reason: reason) else { return }
        isClosing = true
        // Reading goes on for the peer's answer, even when it takes nothing any more.
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        if let farewell = farewell(reason) { send(farewell) }
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
