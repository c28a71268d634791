import NIOCore
import Testing
import TipwireTestSupport

@testable import TipwireWire

@Suite struct WebSocketChunkingTests {
    /// A conversation and the events it must give, written by chance.
    private struct Conversation {
        var bytes: [UInt8] = []
        var expected: [WebSocketEvent] = []

        mutating func add(using chance: inout TestSeed) {
            switch Int.random(in: 0..<10, using: &chance) {
            case 0..<2:
                control(using: &chance)
            case 2..<6:
                let text = String(String.UnicodeScalarView((0..<length(&chance)).map { _ in scalar(&chance) }))
                message(0x1, Array(text.utf8), using: &chance)
                expected.append(.text(text))
            default:
                let payload = (0..<length(&chance)).map { _ in UInt8.random(in: 0...255, using: &chance) }
                // The events of control frames between the fragments come first.
                message(0x2, payload, using: &chance)
                expected.append(.binary(ByteBuffer(bytes: payload)))
            }
        }

        private func length(_ chance: inout TestSeed) -> Int {
            Int.random(in: 0...[3, 130, 3000].randomElement(using: &chance)!, using: &chance)
        }

        private func scalar(_ chance: inout TestSeed) -> Unicode.Scalar {
            let top: UInt32 = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF].randomElement(using: &chance)!
            return Unicode.Scalar(UInt32.random(in: 0...top, using: &chance)) ?? "\u{FFFD}"
        }

        private func key(_ chance: inout TestSeed) -> [UInt8] {
            (0..<4).map { _ in UInt8.random(in: 0...255, using: &chance) }
        }

        private mutating func control(using chance: inout TestSeed) {
            let payload = (0..<Int.random(in: 0...125, using: &chance)).map { UInt8($0) }
            let isPing = Bool.random(using: &chance)
            bytes += clientFrame(isPing ? 0x89 : 0x8A, payload, key: key(&chance))
            expected.append(isPing ? .ping(ByteBuffer(bytes: payload)) : .pong)
        }

        private mutating func message(_ opcode: UInt8, _ payload: [UInt8], using chance: inout TestSeed) {
            var opcode = opcode
            var rest = payload[...]
            while Int.random(in: 0..<3, using: &chance) == 0 {
                let piece = rest.prefix(Int.random(in: 0...rest.count, using: &chance))
                bytes += clientFrame(opcode, Array(piece), key: key(&chance))
                rest = rest.dropFirst(piece.count)
                opcode = 0
                if Bool.random(using: &chance) { control(using: &chance) }
            }
            bytes += clientFrame(0x80 | opcode, Array(rest), key: key(&chance))
        }
    }

    @Test func `however a conversation is cut, it gives the same events`() {
        var chance = TestSeed()
        for _ in 0..<60 {
            var conversation = Conversation()
            for _ in 0..<Int.random(in: 1...12, using: &chance) { conversation.add(using: &chance) }
            let (bytes, expected) = (conversation.bytes, conversation.expected)
            #expect(events(of: bytes) == expected, "\(chance)")
            #expect(events(of: bytes, .bytewise) == expected, "\(chance)")
            #expect(events(of: bytes, .random(seed: chance.next())) == expected, "\(chance)")
        }
    }

    @Test func `however a damaged conversation is cut, it ends in the same way`() {
        var chance = TestSeed()
        for _ in 0..<200 {
            var conversation = Conversation()
            for _ in 0..<Int.random(in: 1...5, using: &chance) { conversation.add(using: &chance) }
            var bytes = conversation.bytes
            for _ in 0..<Int.random(in: 1...4, using: &chance) {
                bytes[Int.random(in: 0..<bytes.count, using: &chance)] ^= 1 << UInt8.random(in: 0...7, using: &chance)
            }
            let whole = events(of: bytes)
            #expect(events(of: bytes, .bytewise) == whole, "\(chance)")
            #expect(events(of: bytes, .random(seed: chance.next())) == whole, "\(chance)")
        }
    }
}
