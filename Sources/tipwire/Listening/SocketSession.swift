import NIOCore
import NIOWebSocket

/// One connection by WebSocket: what each frame and each tick of the ping clock lead to.
///
/// A value without IO: `SocketConnection` carries its actions out.
struct SocketSession<Message: SocketMessage> {
    enum Action: Equatable {
        case sendText(String)
        case sendPong(ByteBuffer)
        /// A message for the user, with its JSON as it came.
        case show(Message, json: String)
        case end(ListeningEnding)
    }

    /// Time between pings. Half of the server's idle limit (120 s), so that one may be lost.
    static var pingInterval: Duration { .seconds(60) }
    /// Pings without an answer after which the connection counts as lost: a half-open socket is silent, and so is a
    /// quiet page.
    static var toleratedPings: Int { 2 }
    /// Largest frame that is taken, in bytes; Tipwire's messages stay under 16 KiB.
    static var frameBytes: Int { 65_536 }

    private var unansweredPings = 0

    /// The connection stands.
    mutating func opened() -> Action? { Message.pingsAtOnce ? pingIsDue() : nil }

    mutating func received(_ frame: WebSocketFrame) -> Action? {
        // Servers don't mask, but unmasking what isn't costs nothing.
        var data = frame.unmaskedData
        switch frame.opcode {
        case .text:
            return received(String(buffer: data))
        case .ping: return .sendPong(data)
        case .connectionClose:
            let code = data.readInteger(as: UInt16.self).map(Int.init) ?? 1005
            return .end(.closed(code: code, reason: String(buffer: data)))
        default: return nil
        }
    }

    mutating func pingIsDue() -> Action {
        guard unansweredPings < Self.toleratedPings else {
            return .end(.silent("no answer to \(Self.toleratedPings) pings"))
        }
        unansweredPings += 1
        return .sendText(Message.ping)
    }

    private mutating func received(_ text: String) -> Action? {
        let message = Message(text)
        if message.isPong { unansweredPings = 0 }
        return message.isShown ? .show(message, json: text) : nil
    }
}
