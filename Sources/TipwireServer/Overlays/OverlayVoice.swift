import NIOCore
import TipwireCore
import TipwireHub
import TipwireWire

/// An overlay: it says what it has shown, and asks whether it may.
struct OverlayVoice: SocketVoice {
    let presence: OverlayPresence
    let epoch: String

    func answer(to text: ByteBuffer) -> ByteBuffer? {
        switch OverlayClientMessage.parse(text) {
        case .ping:
            return OverlayMessage.pong
        // A position of another history is none of this one's events.
        case .received(let tip, let cursor):
            if cursor.epoch == epoch { presence.received(tip, sequence: cursor.sequence) }
        case .shown(let tip, let cursor):
            if cursor.epoch == epoch { presence.shown(tip, sequence: cursor.sequence) }
        case .claim(let cursor):
            let lease = cursor.epoch == epoch ? presence.claim(cursor.sequence) : .shown
            return OverlayMessage.lease(lease, cursor: cursor.description)
        case .other:
            break
        }
        return nil
    }

    func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer? {
        OverlayMessage.resumed(resumption, epoch: epoch)
    }

    /// The fan-out's entries are whole frames already.
    func message(of entries: [ByteBuffer]) -> ByteBuffer { ByteBuffer(joining: entries) }

    func opening(beforeEntryOf count: Int) -> ByteBuffer { ByteBuffer() }

    func farewell(_ reason: String) -> ByteBuffer? { nil }

    func left() { presence.leave() }

    var idleAdvice: String { "idle for too long; send ping each 15 seconds" }
}
