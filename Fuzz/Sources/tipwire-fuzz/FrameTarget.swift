import NIOCore
import TipwireWire

/// The WebSocket decoder. However bytes are cut into reads, the same events must come of them.
enum FrameTarget {
    private static let limit = 4_096

    static func run(_ input: ByteBuffer) {
        var input = input
        // The first byte says how the rest is cut.
        guard let step: UInt8 = input.readInteger() else { return }
        let whole = events(input, step: max(1, input.readableBytes))
        let pieces = events(input, step: max(1, Int(step)))
        precondition(whole == pieces, "the events depend on how the bytes are cut")
        for case .text(let bytes) in whole {
            precondition(String(validating: bytes.readableBytesView, as: UTF8.self) != nil, "a text that isn't UTF-8")
        }
        let ends = whole.filter { event in
            switch event {
            case .closed, .violation: true
            default: false
            }
        }
        precondition(ends.count <= 1, "it ends once")
        for event in whole {
            switch event {
            case .text(let bytes), .binary(let bytes): precondition(bytes.readableBytes <= limit, "longer than allowed")
            case .ping(let bytes): precondition(bytes.readableBytes <= 125, "a control frame is short")
            default: break
            }
        }
    }

    private static func events(_ input: ByteBuffer, step: Int) -> [WebSocketEvent] {
        var session = WebSocketSession(maxMessageBytes: limit)
        var input = input
        var events: [WebSocketEvent] = []
        while var piece = input.readSlice(length: min(step, input.readableBytes)), piece.readableBytes > 0 {
            while let event = session.receive(&piece) { events.append(event) }
            precondition(piece.readableBytes == 0, "what was read is used up")
        }
        return events
    }
}
