import NIOCore
import TipwireCore
import TipwireHub
import TipwireWire

/// What a client is answered, in a ready frame.
enum SocketAnswer {
    case now(ByteBuffer)
    /// Somebody else has to be asked; when that fails, nothing.
    case later(EventLoopFuture<ByteBuffer>)
}

/// What a dialect says on a WebSocket, in ready frames. The handler does everything else.
protocol SocketVoice: Sendable {
    /// The answer to a client's text, nil for none.
    func answer(to text: ByteBuffer) -> SocketAnswer?
    /// What says where the stream begins, to who asked for it.
    func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer?
    /// What is said before the close frame.
    func farewell(_ reason: String) -> ByteBuffer?
    /// The socket listens no more. May come twice.
    func left()
    /// Why an idle socket is closed, and what to do about it.
    var idleAdvice: String { get }
}

extension SocketVoice {
    func left() {}
}

/// The Pally feed: it answers `ping` and `echo`, and says nothing else unasked.
struct PallyVoice: SocketVoice {
    private static let pong = WebSocketFrame.text(ByteBuffer(string: "pong"))

    func answer(to text: ByteBuffer) -> SocketAnswer? {
        switch PallyClientMessage.parse(text) {
        case .ping: .now(Self.pong)
        case .echo(let payload): .now(WebSocketFrame.text(payload))
        case .other: nil
        }
    }

    func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer? {
        PallyResumed.frame(resumption, epoch: epoch)
    }

    func farewell(_ reason: String) -> ByteBuffer? { nil }

    var idleAdvice: String { "idle for too long; send ping each 60 seconds" }
}

/// EventSub.
struct EventSubVoice: SocketVoice {
    private static let pong = WebSocketFrame.text(ByteBuffer(string: "PONG"))

    func answer(to text: ByteBuffer) -> SocketAnswer? { EventSubMessage.isPing(text) ? .now(Self.pong) : nil }

    /// The dialect has no word for it: where the stream begins is the server's to know.
    func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer? { nil }

    func farewell(_ reason: String) -> ByteBuffer? { WebSocketFrame.text(EventSubMessage.disconnect(reason)) }

    var idleAdvice: String { "idle for too long; send PING at least once a minute" }
}
