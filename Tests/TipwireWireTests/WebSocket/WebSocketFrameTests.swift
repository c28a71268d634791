import NIOCore
import Testing
import TipwireTestSupport

@testable import TipwireWire

@Suite struct WebSocketFrameTests {
    @Test func `frames are those of the RFC's examples`() {
        let hello = ByteBuffer(string: "Hello")
        #expect(WebSocketFrame.text(hello) == hex("81 05 48 65 6c 6c 6f"))
        #expect(WebSocketFrame.ping(hello) == hex("89 05 48 65 6c 6c 6f"))
        #expect(WebSocketFrame.pong(hello) == hex("8a 05 48 65 6c 6c 6f"))
        #expect(
            WebSocketFrame.masked(opcode: .text, payload: hello, key: 0x37FA_213D)
                == hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"))
        #expect(
            WebSocketFrame.masked(opcode: .pong, payload: hello, key: 0x37FA_213D)
                == hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"))
        let fragment = WebSocketFrame.masked(opcode: .text, payload: ByteBuffer(string: "Hel"), key: 0, fin: false)
        #expect(fragment == hex("01 83 00 00 00 00 48 65 6c"))
    }

    @Test(arguments: [
        (0, "82 00"), (125, "82 7d"), (126, "82 7e 00 7e"), (256, "82 7e 01 00"), (65535, "82 7e ff ff"),
        (65536, "82 7f 00 00 00 00 00 01 00 00"),
    ])
    func `each length has its shortest form`(length: Int, header: String) {
        let payload = ByteBuffer(repeating: 0x2A, count: length)
        var expected = hex(header)
        expected.writeImmutableBuffer(payload)
        #expect(WebSocketFrame.binary(payload) == expected)
        let whole = WebSocketFrame.text(payload)
        #expect(WebSocketFrame.textSize(payloadLength: length) == whole.readableBytes)
        var text = ByteBuffer()
        text.writeWithUnsafeMutableBytes(minimumWritableBytes: WebSocketFrame.maximumServerHeader) {
            WebSocketFrame.putTextHeader(payloadLength: length, into: $0)
        }
        text.writeImmutableBuffer(payload)
        #expect(text == whole)
    }

    @Test func `a payload that has been read from is sent from where it was read to`() {
        var payload = ByteBuffer(string: "skipped Hello")
        payload.moveReaderIndex(forwardBy: 8)
        #expect(WebSocketFrame.text(payload) == hex("81 05 48 65 6c 6c 6f"))
    }

    @Test(arguments: [0, 1, 7, 8, 9, 31, 32, 33, 126, 65536])
    func `a masked frame is read back by a session`(length: Int) {
        var chance = TestSeed()
        let payload = ByteBuffer(bytes: (0..<length).map { _ in UInt8.random(in: 0...255, using: &chance) })
        let frame = WebSocketFrame.masked(opcode: .binary, payload: payload, key: UInt32.random(in: 0...UInt32.max))
        #expect(events(of: Array(frame.readableBytesView)) == [.binary(payload)], "\(chance)")
    }

    @Test func `a close frame carries its code and reason`() {
        #expect(WebSocketFrame.close(.normal, reason: "") == hex("88 02 03 e8"))
        #expect(WebSocketFrame.close(.tryAgainLater, reason: "slow") == hex("88 06 03 f5 73 6c 6f 77"))
    }

    @Test(arguments: [
        (String(repeating: "a", count: 123), 123), (String(repeating: "a", count: 124), 123),
        (String(repeating: "é", count: 62), 122), (String(repeating: "😀", count: 31), 120),
        (String(repeating: "a", count: 120) + "👩‍👩‍👧", 120),
    ])
    func `a long reason is cut between characters`(reason: String, length: Int) {
        var frame = WebSocketFrame.close(.goingAway, reason: reason)
        #expect(frame.readBytes(length: 2) == [0x88, UInt8(length + 2)])
        #expect(frame.readInteger() == UInt16(1001))
        let sent = String(buffer: frame)
        #expect(sent.utf8.count == length)
        #expect(reason.hasPrefix(sent))
    }
}
