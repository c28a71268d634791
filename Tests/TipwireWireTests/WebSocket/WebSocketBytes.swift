import NIOCore
import TipwireTestSupport

@testable import TipwireWire

/// The bytes that a hexadecimal string spells, as the RFC prints them: `hex("81 05 48 65 6c 6c 6f")`.
func hex(_ text: String) -> ByteBuffer {
    ByteBuffer(bytes: text.split(separator: " ").map { UInt8($0, radix: 16)! })
}

/// A frame from a client, built here by hand and not by the encoder under test.
func clientFrame(
    _ first: UInt8, _ payload: [UInt8] = [], key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
) -> [UInt8] {
    var bytes: [UInt8] = [first]
    switch payload.count {
    case ..<126:
        bytes.append(0x80 | UInt8(payload.count))
    case ..<65536:
        bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default:
        bytes.append(0x80 | 127)
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
    }
    bytes += key
    bytes += payload.enumerated().map { $1 ^ key[$0 % 4] }
    return bytes
}

func clientFrame(_ first: UInt8, _ text: String) -> [UInt8] {
    clientFrame(first, Array(text.utf8))
}

/// How a stream of bytes is cut into reads.
enum Chunking: Sendable {
    case whole
    case bytewise
    case random(seed: UInt64)

    func cut(_ bytes: [UInt8]) -> [ByteBuffer] {
        switch self {
        case .whole:
            return [ByteBuffer(bytes: bytes)]
        case .bytewise:
            return bytes.map { ByteBuffer(bytes: [$0]) }
        case .random(let seed):
            var chance = TestSeed(seed: seed)
            var chunks: [ByteBuffer] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let longest = [1, 3, 20, 400, 70000].randomElement(using: &chance)!
                let piece = rest.prefix(Int.random(in: 0...longest, using: &chance))
                chunks.append(ByteBuffer(bytes: piece))
                rest = rest.dropFirst(piece.count)
            }
            return chunks
        }
    }
}

extension WebSocketSession {
    /// All events of `bytes`; it fails the program if the session leaves bytes unread.
    mutating func events(of bytes: [UInt8], _ chunking: Chunking = .whole) -> [WebSocketEvent] {
        var events: [WebSocketEvent] = []
        for var chunk in chunking.cut(bytes) {
            while let event = receive(&chunk) { events.append(event) }
            precondition(chunk.readableBytes == 0, "the session left bytes with its caller")
        }
        return events
    }
}

/// The events of a new session with the limit of 65,536 bytes that the server has by default.
func events(of bytes: [UInt8], _ chunking: Chunking = .whole) -> [WebSocketEvent] {
    var session = WebSocketSession(maxMessageBytes: 65536)
    return session.events(of: bytes, chunking)
}

extension WebSocketEvent {
    static func text(_ text: String) -> WebSocketEvent { .text(ByteBuffer(string: text)) }

    /// The code, if this is a violation whose close frame says the same as the event.
    var violated: WebSocketCloseCode? {
        guard case .violation(let close, let code, let reason) = self,
            close == WebSocketFrame.close(code, reason: reason), !reason.isEmpty
        else { return nil }
        return code
    }
}
