import NIOCore
import Testing

@testable import TipwireWire

/// RFC 6455 at byte level, in the order of the Autobahn suite's chapters 1 to 5.
@Suite struct WebSocketFramingTests {
    static let lengths = [0, 1, 7, 8, 9, 125, 126, 127, 128, 65535, 65536]

    // MARK: 1. Framing

    @Test(arguments: lengths)
    func `a text of each length form arrives, whole or byte by byte`(length: Int) {
        let payload = (0..<length).map { UInt8(0x20 + $0 % 0x5F) }
        let bytes = clientFrame(0x81, payload)
        #expect(events(of: bytes) == [.text(ByteBuffer(bytes: payload))])
        #expect(events(of: bytes, .bytewise) == [.text(ByteBuffer(bytes: payload))])
    }

    @Test(arguments: lengths)
    func `a binary message of each length form arrives, whole or byte by byte`(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let bytes = clientFrame(0x82, payload)
        #expect(events(of: bytes) == [.binary(ByteBuffer(bytes: payload))])
        #expect(events(of: bytes, .bytewise) == [.binary(ByteBuffer(bytes: payload))])
    }

    @Test(arguments: [0, 125, 126, 65535, 65536])
    func `a header may be cut in three anywhere`(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        let bytes = clientFrame(0x82, payload)
        let header = bytes.count - length
        for first in 0...header {
            for second in first...header {
                var session = WebSocketSession(maxMessageBytes: 65536)
                let pieces = [bytes[..<first], bytes[first..<second], bytes[second...]]
                let events = pieces.flatMap { session.events(of: Array($0)) }
                if events != [.binary(ByteBuffer(bytes: payload))] { Issue.record("cut at \(first) and \(second)") }
            }
        }
    }

    @Test func `the masked Hello of the RFC is read`() {
        let bytes = Array(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58").readableBytesView)
        #expect(events(of: bytes) == [.text("Hello")])
    }

    @Test func `a frame without a mask is a protocol error at its second byte`() {
        #expect(events(of: [0x81, 0x05]).map(\.violated) == [.protocolError])
        #expect(events(of: [0x89, 0x00]).map(\.violated) == [.protocolError])
    }

    @Test(arguments: [
        "81 fe 00 00", "81 fe 00 7d",  // 16 bits for what fits in 7
        "82 ff 00 00 00 00 00 00 00 00", "82 ff 00 00 00 00 00 00 00 7d",  // 64 bits for what fits in 7
        "82 ff 00 00 00 00 00 00 ff ff",  // 64 bits for what fits in 16
        "82 ff 80 00 00 00 00 00 00 00", "82 ff ff ff ff ff ff ff ff ff",  // the highest bit
    ])
    func `a length in another than its shortest form is a protocol error`(header: String) {
        let bytes = Array(hex(header).readableBytesView)
        #expect(events(of: bytes).map(\.violated) == [.protocolError])
        #expect(events(of: bytes, .bytewise).map(\.violated) == [.protocolError])
    }

    // MARK: 2. Pings and pongs

    @Test(arguments: [0, 1, 124, 125])
    func `a ping's payload is passed on for the pong`(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: 0xFE &- $0) }
        let bytes = clientFrame(0x89, payload)
        #expect(events(of: bytes) == [.ping(ByteBuffer(bytes: payload))])
        #expect(events(of: bytes, .bytewise) == [.ping(ByteBuffer(bytes: payload))])
    }

    @Test(arguments: [0x88, 0x89, 0x8A] as [UInt8], [126, 127])
    func `a control frame over 125 bytes is a protocol error at its second byte`(first: UInt8, length: UInt8) {
        #expect(events(of: [first, 0x80 | length]).map(\.violated) == [.protocolError])
    }

    @Test func `a pong that nobody asked for is a sign of life and nothing more`() {
        #expect(events(of: clientFrame(0x8A)) == [.pong])
        #expect(events(of: clientFrame(0x8A, "unasked") + clientFrame(0x89, "p")) == [.pong, .ping("p")])
    }

    @Test func `ten pings in one read are ten events`() {
        let bytes = (0..<10).flatMap { clientFrame(0x89, "\($0)") }
        #expect(events(of: bytes) == (0..<10).map { .ping(ByteBuffer(string: "\($0)")) })
    }

    // MARK: 3 and 4. Reserved bits and opcodes

    @Test(arguments: [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] as [UInt8], [0x81, 0x82, 0x88, 0x89, 0x8A] as [UInt8])
    func `a reserved bit is a protocol error at its first byte`(bits: UInt8, first: UInt8) {
        #expect(events(of: [first | bits]).map(\.violated) == [.protocolError])
    }

    @Test func `a frame before a broken one is still delivered`() {
        let bytes = clientFrame(0x81, "Hello") + clientFrame(0xC1, "Hello") + clientFrame(0x89)
        for chunking in [Chunking.whole, .bytewise] {
            let events = events(of: bytes, chunking)
            #expect(events.first == .text("Hello"))
            #expect(events.dropFirst().map(\.violated) == [.protocolError])
        }
    }

    @Test(arguments: [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] as [UInt8])
    func `a reserved opcode is a protocol error at its first byte`(opcode: UInt8) {
        #expect(events(of: [0x80 | opcode]).map(\.violated) == [.protocolError])
        #expect(events(of: [opcode]).map(\.violated) == [.protocolError])
    }

    // MARK: 5. Fragmentation

    @Test(arguments: [0x08, 0x09, 0x0A] as [UInt8])
    func `a fragmented control frame is a protocol error`(first: UInt8) {
        #expect(events(of: clientFrame(first, "x")).map(\.violated) == [.protocolError])
    }

    @Test func `fragments make one message, empty ones too`() {
        let bytes =
            clientFrame(0x01) + clientFrame(0x00, "frag") + clientFrame(0x00) + clientFrame(0x00, "ments")
            + clientFrame(0x80) + clientFrame(0x02, [1]) + clientFrame(0x80, [2])
        let expected: [WebSocketEvent] = [.text("fragments"), .binary(ByteBuffer(bytes: [1, 2]))]
        #expect(events(of: bytes) == expected)
        #expect(events(of: bytes, .bytewise) == expected)
    }

    @Test func `control frames between fragments are events at once and leave the message alone`() {
        let bytes =
            clientFrame(0x01, "one ") + clientFrame(0x89, "a") + clientFrame(0x00, "two ") + clientFrame(0x8A, "b")
            + clientFrame(0x89, "c") + clientFrame(0x80, "three") + clientFrame(0x81, "four")
        let expected: [WebSocketEvent] = [.ping("a"), .pong, .ping("c"), .text("one two three"), .text("four")]
        #expect(events(of: bytes) == expected)
        #expect(events(of: bytes, .bytewise) == expected)
    }

    @Test(arguments: [0x00, 0x80] as [UInt8])
    func `a continuation of nothing is a protocol error`(first: UInt8) {
        #expect(events(of: clientFrame(first, "x")).map(\.violated) == [.protocolError])
        let after = clientFrame(0x01, "a") + clientFrame(0x80, "b") + clientFrame(first, "x")
        #expect(events(of: after).map(\.violated) == [nil, .protocolError])
    }

    @Test(arguments: [0x01, 0x81, 0x02, 0x82] as [UInt8])
    func `a new message inside a fragmented one is a protocol error`(first: UInt8) {
        let bytes = clientFrame(0x01, "a") + clientFrame(0x89) + clientFrame(first, "x")
        #expect(events(of: bytes).map(\.violated) == [nil, .protocolError])
    }

    // MARK: The limit

    @Test func `a message over the limit is refused from its header, before its mask`() {
        let header = Array(hex("82 ff 00 00 00 00 00 01 00 01").readableBytesView)
        #expect(events(of: header).map(\.violated) == [.messageTooBig])
        #expect(events(of: header, .bytewise).map(\.violated) == [.messageTooBig])
    }

    @Test func `the limit counts all fragments of a message, and none of the one before`() {
        var session = WebSocketSession(maxMessageBytes: 10)
        let fits = clientFrame(0x01, "12345") + clientFrame(0x00, "67890") + clientFrame(0x80)
        #expect(session.events(of: fits + fits) == [.text("1234567890"), .text("1234567890")])
        let exceeds = clientFrame(0x01, "12345") + clientFrame(0x89, "ping, not counted") + [0x80, 0x86]
        let events = session.events(of: exceeds)
        #expect(events.first == .ping(ByteBuffer(string: "ping, not counted")))
        #expect(events.dropFirst().map(\.violated) == [.messageTooBig])
    }
}

extension WebSocketEvent {
    fileprivate static func ping(_ text: String) -> WebSocketEvent { .ping(ByteBuffer(string: text)) }
}
