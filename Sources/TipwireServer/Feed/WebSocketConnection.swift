import NIOCore
import TipwireSockets
import TipwireWire

/// One WebSocket: the protocol, whatever is spoken there.
///
/// What bytes mean is decided by `WebSocketSession`; this moves bytes between it and the transport, answers what the protocol
/// itself wants answered, and owns the closing handshake's time limit. What is said is its heirs' to know. They inherit
/// rather than being called by it: a hundred thousand feeds wait most of the time, and so each of them is one object.
class WebSocketConnection: StreamTransportDelegate {
    /// How a socket comes to its end.
    enum Parting {
        case orderly
        /// The connection broke.
        case broken
        /// The peer has shown no life for too long.
        case dead
    }

    private var session: WebSocketSession
    /// None before the beginning and after the end.
    private(set) var transport: (any StreamTransport)?
    private(set) var isClosing = false

    init(maxMessageBytes: Int) {
        session = WebSocketSession(maxMessageBytes: maxMessageBytes)
    }

    final func attach(to transport: any StreamTransport) { self.transport = transport }

    final var isWritable: Bool { transport?.isWritable ?? false }

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
    func shutDown() {}
    func held() {}
    /// What is said before our close frame.
    func farewell(_ reason: String) -> ByteBuffer? { nil }

    // MARK: Inbound

    func received(_ received: ByteBuffer) {
        var bytes = received
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
            handle(event)
        }
    }

    private func handle(_ event: WebSocketEvent) {
        switch event {
        case .text(let text): received(text: text)
        case .binary(let bytes): received(binary: bytes)
        case .pong: receivedPong()
        case .ping(let payload): send(WebSocketFrame.pong(payload))
        case .closed(let answer, _, _):
            parted(.orderly)
            finish(answer)
        case .violation(let close, _, _):
            parted(.orderly)
            finish(close)
        }
    }

    /// A peer that asks and never reads is not answered without bound: its bytes are left in the kernel until it does.
    func writabilityChanged() {
        transport?.setReading(isWritable || isClosing)
        if isWritable { becameWritable() }
    }

    /// Without a close frame the peer is gone; a WebSocket has no half-open state to serve.
    func inputEnded() {
        parted(.orderly)
        transport?.close()
    }

    /// There is nobody left to tell.
    func failed(_ error: any Error) {
        parted(.broken)
        transport?.close()
    }

    func ended() {
        parted(.orderly)
        transport = nil
    }

    // MARK: Outbound

    final func send(_ bytes: ByteBuffer) { transport?.send(bytes) }

    /// Begins the closing handshake, unless it has begun. The peer has `limit` for its part.
    final func close(_ code: WebSocketCloseCode, _ reason: String, within limit: TimeAmount = StreamLimits.close) {
        guard let transport, !isClosing, let frame = session.sendClose(code, reason: reason) else { return }
        isClosing = true
        // Reading goes on for the peer's answer, even when it takes nothing any more.
        transport.setReading(true)
        if let farewell = farewell(reason) { send(farewell) }
        send(frame)
        transport.close(in: limit)
    }

    /// The last frame, then the end of our side. The peer's side is read on for a while: closing at once would turn
    /// bytes it is still sending into a reset that destroys the frame.
    private func finish(_ frame: ByteBuffer?) {
        if let frame, frame.readableBytes > 0 { send(frame) }
        guard let transport else { return }
        if !isClosing {
            isClosing = true
            transport.close(in: StreamLimits.close)
        }
        transport.setReading(true)
        transport.closeOutput()
    }
}
