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
    /// Events of the fan-out as this listener gets them, joined.
    func message(of entries: [ByteBuffer]) -> ByteBuffer
    /// What goes out before an event of so many bytes; nothing where the fan-out's are whole frames.
    mutating func opening(beforeEntryOf count: Int) -> ByteBuffer
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

    /// The fan-out's entries are whole frames already.
    func message(of entries: [ByteBuffer]) -> ByteBuffer { ByteBuffer(joining: entries) }

    func opening(beforeEntryOf count: Int) -> ByteBuffer { ByteBuffer() }

    func farewell(_ reason: String) -> ByteBuffer? { nil }

    var idleAdvice: String { "idle for too long; send ping each 60 seconds" }
}

/// EventSub: each event goes out behind the subscription's own beginning.
struct EventSubVoice: SocketVoice {
    private static let pong = WebSocketFrame.text(ByteBuffer(string: "PONG"))

    /// What every message of this subscription begins with, behind room for a frame's header: header and beginning go out as
    /// one piece, and the event behind them as another, which all share.
    private var beginning: ByteBuffer

    init(beginning: ByteBuffer) {
        let room = WebSocketFrame.maximumServerHeader
        self.beginning = ByteBufferAllocator().buffer(capacity: room + beginning.readableBytes)
        self.beginning.writeRepeatingByte(0, count: room)
        self.beginning.writeImmutableBuffer(beginning)
        self.beginning.moveReaderIndex(forwardBy: room)
    }

    func answer(to text: ByteBuffer) -> SocketAnswer? { EventSubMessage.isPing(text) ? .now(Self.pong) : nil }

    /// The dialect has no word for it: where the stream begins is the server's to know.
    func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer? { nil }

    mutating func opening(beforeEntryOf count: Int) -> ByteBuffer {
        let length = WebSocketFrame.putTextHeader(payloadLength: beginning.readableBytes + count, before: &beginning)
        defer { beginning.moveReaderIndex(forwardBy: length) }
        return beginning
    }

    func message(of entries: [ByteBuffer]) -> ByteBuffer {
        var frames = ByteBuffer()
        frames.reserveCapacity(entries.reduce(0) { $0 + $1.readableBytes + beginning.readableBytes + 16 })
        for entry in entries {
            let length = beginning.readableBytes + entry.readableBytes
            WebSocketFrame.writeTextHeader(payloadLength: length, into: &frames)
            frames.writeImmutableBuffer(beginning)
            frames.writeImmutableBuffer(entry)
        }
        return frames
    }

    func farewell(_ reason: String) -> ByteBuffer? { WebSocketFrame.text(EventSubMessage.disconnect(reason)) }

    var idleAdvice: String { "idle for too long; send PING at least once a minute" }
}
