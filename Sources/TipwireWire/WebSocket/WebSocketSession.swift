import NIOCore

/// What a peer's bytes mean, and what the connection's owner must do about it.
public enum WebSocketEvent: Sendable, Equatable {
    /// A whole text message, valid UTF-8.
    case text(ByteBuffer)
    /// A whole binary message.
    case binary(ByteBuffer)
    /// Answer with `WebSocketFrame.pong` of the same payload.
    case ping(ByteBuffer)
    /// A sign of life, asked for or not.
    case pong
    /// The peer sent Close. Send `answer`, the echoing close frame (nil: ours has gone out already), then close the
    /// connection. `code` is nil when the peer gave none.
    case closed(answer: ByteBuffer?, code: WebSocketCloseCode?, reason: String)
    /// The peer broke the protocol or a limit. Send `close` (empty, if our close frame has gone out already), then
    /// close the connection without waiting.
    case violation(close: ByteBuffer, code: WebSocketCloseCode, reason: String)
}

/// The server's side of one WebSocket, RFC 6455 whole, as a value: bytes in, events out.
///
/// It owns no socket and no clock: time limits (idle, closing handshake) are the owner's. There are no extensions
/// and no subprotocols.
///
/// A hundred thousand of these wait for a ping most of the time. Between messages the value is three words and
/// holds no memory beside them.
public struct WebSocketSession: Sendable {
    private enum Phase {
        case open
        /// Our close frame has gone out, the peer's is awaited.
        case closing
        /// The peer closed or broke a rule: nothing that still comes is read.
        case over
    }

    private let maxMessageBytes: Int
    private var phase: Phase = .open

    /// The frames whose end has come, of every kind; it wraps. A message in many fragments is many signs of life before
    /// it is an event.
    public private(set) var framesReceived: UInt32 = 0

    /// What has arrived in part: none or one. An array, because an empty one is one word without memory, and it is a
    /// value where a box of our own would be a reference.
    private var partial: [WebSocketAssembler] = []

    /// - Parameter maxMessageBytes: the largest message, over all its fragments. A header that announces more ends
    ///   the session with 1009 before anything is stored.
    public init(maxMessageBytes: Int) {
        self.maxMessageBytes = maxMessageBytes
    }

    /// Consumes `bytes` up to the end of the next event; nil when they are used up and more are needed.
    ///
    /// Call it until it returns nil. A partial frame is kept inside, so the caller keeps nothing. After `.closed` and
    /// `.violation` there is no other event: the rest is consumed and dropped.
    public mutating func receive(_ bytes: inout ByteBuffer) -> WebSocketEvent? {
        guard phase != .over, bytes.readableBytes > 0 else {
            bytes.moveReaderIndex(to: bytes.writerIndex)
            return nil
        }
        // Taken out while it works, so that its buffers have one owner and grow in place.
        var assembler = partial.first ?? WebSocketAssembler()
        partial = []
        do throws(WebSocketViolation) {
            while let output = try assembler.next(
                &bytes, limit: maxMessageBytes, isKeeping: phase == .open, frames: &framesReceived)
            {
                guard let event = try decide(output) else { continue }
                if phase != .over { keep(assembler) }
                return event
            }
        } catch {
            return violate(error)
        }
        keep(assembler)
        return nil
    }

    /// Begins the closing handshake: send the frame, then wait, for a limited time, for `.closed`. Until then
    /// messages and pings are dropped. Nil, if a close frame has gone out already.
    public mutating func sendClose(_ code: WebSocketCloseCode, reason: String = "") -> ByteBuffer? {
        guard phase == .open else { return nil }
        phase = .closing
        if !partial.isEmpty { partial[0].dropMessage() }
        return WebSocketFrame.close(code, reason: reason)
    }

    private mutating func keep(_ assembler: WebSocketAssembler) {
        if !assembler.isIdle { partial = [assembler] }
    }

    private mutating func decide(_ output: WebSocketAssembler.Output) throws(WebSocketViolation) -> WebSocketEvent? {
        switch output {
        case .control(.close, let payload):
            return try close(payload)
        case .control(.pong, _):
            return .pong
        case _ where phase != .open:
            // Nothing may follow our close frame, so nothing that asks for an answer is passed on.
            return nil
        case .control(_, let payload):
            return .ping(payload)
        case .message(.text, let bytes):
            return .text(bytes)
        case .message(_, let bytes):
            return .binary(bytes)
        }
    }

    private mutating func close(_ payload: ByteBuffer) throws(WebSocketViolation) -> WebSocketEvent {
        var payload = payload
        var code: WebSocketCloseCode?
        if payload.readableBytes > 0 {
            guard let rawCode: UInt16 = payload.readInteger() else {
                throw .breach("A close frame has no payload, or a code of two bytes.")
            }
            let given = WebSocketCloseCode(rawValue: rawCode)
            guard given.mayBeSent else { throw .breach("The close code must not be used.") }
            code = given
        }
        var utf8 = UTF8Validator()
        guard payload.withUnsafeReadableBytes({ utf8.accept($0) }), utf8.isComplete else { throw .invalidText }
        // The code is echoed, the reason is not: the peer knows it.
        let echo = code.map { WebSocketFrame.close($0) } ?? WebSocketFrame.emptyClose
        let answer = phase == .open ? echo : nil
        phase = .over
        return .closed(answer: answer, code: code, reason: String(buffer: payload))
    }

    private mutating func violate(_ violation: WebSocketViolation) -> WebSocketEvent {
        let close =
            phase == .open ? WebSocketFrame.close(violation.code, reason: violation.reason) : ByteBuffer()
        phase = .over
        return .violation(close: close, code: violation.code, reason: violation.reason)
    }
}
