import NIOCore
import Testing

@testable import TipwireWire

/// UTF-8 in text messages: the Autobahn suite's chapter 6.
@Suite struct WebSocketTextTests {
    static let greeting = "Hello-µ@ßöäüàá-κόσμε-𠈓-UTF-8!!"

    @Test func `text may be cut into fragments inside its characters`() {
        let utf8 = Array(Self.greeting.utf8)
        for cut in 0...utf8.count {
            let bytes = clientFrame(0x01, Array(utf8[..<cut])) + clientFrame(0x80, Array(utf8[cut...]))
            #expect(events(of: bytes) == [.text(Self.greeting)])
        }
        var single = clientFrame(0x01)
        for byte in utf8 { single += clientFrame(0x00, [byte]) }
        single += clientFrame(0x80)
        #expect(events(of: single) == [.text(Self.greeting)])
    }

    @Test(arguments: UTF8ValidatorTests.invalid)
    func `text that is not UTF-8 is refused, in one frame or in one per byte`(bytes: [UInt8]) {
        #expect(events(of: clientFrame(0x81, bytes)).map(\.violated) == [.invalidPayload])
        let fragments = bytes.reduce(clientFrame(0x01)) { $0 + clientFrame(0x00, [$1]) } + clientFrame(0x80)
        #expect(events(of: fragments).map(\.violated) == [.invalidPayload])
        // What is no text may have any bytes.
        #expect(events(of: clientFrame(0x82, bytes)) == [.binary(ByteBuffer(bytes: bytes))])
    }

    @Test func `the first impossible byte ends the session, although the frame is not whole`() {
        // F4 may be followed by 80…8F only; the frame announces twenty bytes.
        let payload: [UInt8] = Array("κόσμε".utf8) + [0xF4, 0x90] + Array("edited".utf8) + [0, 0]
        let frame = clientFrame(0x81, payload)
        let header = frame.count - payload.count
        let before = "κόσμε".utf8.count
        var session = WebSocketSession(maxMessageBytes: 65536)
        #expect(session.events(of: Array(frame[..<(header + before + 1)]), .bytewise) == [])
        #expect(session.events(of: [frame[header + before + 1]]).map(\.violated) == [.invalidPayload])
        #expect(session.events(of: Array(frame[(header + before + 2)...])) == [])
    }

    @Test func `text that ends inside a character is refused at the end of the message, not of a fragment`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        #expect(session.events(of: clientFrame(0x01, [0xCE])) == [])
        #expect(session.events(of: clientFrame(0x80)).map(\.violated) == [.invalidPayload])
    }

    @Test func `a new message does not inherit half a character`() {
        let bytes = clientFrame(0x82, [0xCE]) + clientFrame(0x81, [0xBA])
        #expect(events(of: bytes).map(\.violated) == [nil, .invalidPayload])
    }
}
