import NIOCore
import TipwireCore
import TipwireHub
import TipwireWire

/// An overlay: it says what it has shown, and asks whether it may.
struct OverlayVoice: SocketVoice {
    let presence: OverlayPresence
    let position: LogPosition
    let eventLoop: any EventLoop

    func answer(to text: ByteBuffer) -> SocketAnswer? {
        switch OverlayClientMessage.parse(text) {
        case .ping:
            return .now(OverlayMessage.pong)
        case .received(let tip, let cursor):
            if isOurs(cursor) { presence.received(tip, sequence: cursor.sequence) }
        case .shown(let tip, let cursor):
            if isOurs(cursor) { presence.shown(tip, sequence: cursor.sequence) }
        case .claim(let cursor):
            // Another server may have told of an event of this history that this one hasn't heard of yet.
            let claim =
                isOurs(cursor)
                ? presence.claim(cursor.sequence, on: eventLoop) : .settled(isOfThisLog(cursor) ? .held : .shown)
            let cursor = cursor.description
            switch claim {
            case .settled(let lease): return .now(OverlayMessage.lease(lease, cursor: cursor))
            case .asked(let lease): return .later(lease.map { OverlayMessage.lease($0, cursor: cursor) })
            case nil: return nil
            }
        case .other:
            break
        }
        return nil
    }

    /// Whether an alert box speaks of an event that there is: nobody else shows alerts, and what is to come, or was in another
    /// history, nobody has seen.
    private func isOurs(_ cursor: Cursor) -> Bool {
        isOfThisLog(cursor) && cursor.sequence <= position.seen.head
    }

    private func isOfThisLog(_ cursor: Cursor) -> Bool {
        presence.place.kind == .alerts && cursor.epoch == position.epoch && cursor.sequence > 0
    }

    func resumed(_ resumption: Resumption, epoch: String) -> ByteBuffer? {
        OverlayMessage.resumed(resumption, epoch: epoch)
    }

    func farewell(_ reason: String) -> ByteBuffer? { nil }

    func left() { presence.leave() }

    var idleAdvice: String { "idle for too long; send ping each 15 seconds" }
}
