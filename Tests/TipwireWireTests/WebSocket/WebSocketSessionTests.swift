import NIOCore
import Testing

@testable import TipwireWire

/// The closing handshake (the Autobahn suite's chapter 7), memory, and the property that cuts do not matter.
@Suite struct WebSocketSessionTests {
    private func closePayload(_ code: UInt16, _ reason: [UInt8] = []) -> [UInt8] {
        [UInt8(code >> 8), UInt8(code & 0xFF)] + reason
    }

    // MARK: The peer closes

    @Test func `a close is answered with its code, and what follows is dropped`() {
        let bytes =
            clientFrame(0x88, closePayload(1000, Array("bye".utf8))) + clientFrame(0x81, "late") + clientFrame(0x89)
        let expected = [
            WebSocketEvent.closed(answer: hex("88 02 03 e8"), code: .normal, reason: "bye")
        ]
        #expect(events(of: bytes) == expected)
        #expect(events(of: bytes, .bytewise) == expected)
    }

    @Test func `a close without a payload is answered with one without`() {
        let expected = [WebSocketEvent.closed(answer: hex("88 00"), code: nil, reason: "")]
        #expect(events(of: clientFrame(0x88)) == expected)
    }

    @Test func `a close inside a fragmented message is a close`() {
        let bytes = clientFrame(0x01, "half") + clientFrame(0x88, closePayload(1001))
        #expect(events(of: bytes) == [.closed(answer: hex("88 02 03 e9"), code: .goingAway, reason: "")])
    }

    @Test func `half a close code is a protocol error`() {
        #expect(events(of: clientFrame(0x88, [0x03])).map(\.violated) == [.protocolError])
    }

    @Test func `a reason of 123 bytes is the longest`() {
        let reason = String(repeating: "r", count: 123)
        let events = events(of: clientFrame(0x88, closePayload(1000, Array(reason.utf8))))
        #expect(events == [.closed(answer: hex("88 02 03 e8"), code: .normal, reason: reason)])
    }

    @Test func `a reason that is not UTF-8 is refused`() {
        for reason: [UInt8] in [[0xED, 0xA0, 0x80], [0x61, 0xC3]] {
            let frame = clientFrame(0x88, closePayload(1000, reason))
            #expect(events(of: frame).map(\.violated) == [.invalidPayload])
        }
    }

    @Test func `a peer may send the codes that the registry allows, and no others`() {
        let allowed = Set<UInt16>(
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014] + Array(3000...4999))
        for code in 0...UInt16(5100) {
            let events = events(of: clientFrame(0x88, closePayload(code)))
            if allowed.contains(code) {
                let answer = ByteBuffer(bytes: [0x88, 0x02] + closePayload(code))
                let expected = WebSocketEvent.closed(
                    answer: answer, code: WebSocketCloseCode(rawValue: code), reason: "")
                #expect(events == [expected])
            } else {
                #expect(events.map(\.violated) == [.protocolError], "code \(code)")
            }
        }
        #expect(events(of: clientFrame(0x88, closePayload(65535))).map(\.violated) == [.protocolError])
    }

    // MARK: The server closes

    @Test func `after our close only the peer's close and pongs are events`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        #expect(session.sendClose(.serviceRestart, reason: "drain") == hex("88 07 03 f4 64 72 61 69 6e"))
        #expect(session.sendClose(.normal, reason: "again") == nil)
        let bytes =
            clientFrame(0x81, "crossing") + clientFrame(0x82, [0xFF]) + clientFrame(0x89, "p") + clientFrame(0x8A)
            + clientFrame(0x81, [0xFF]) + clientFrame(0x88, closePayload(1012)) + clientFrame(0x81, "late")
        let expected: [WebSocketEvent] = [.pong, .closed(answer: nil, code: .serviceRestart, reason: "")]
        #expect(session.events(of: bytes, .bytewise) == expected)
        #expect(session.sendClose(.normal, reason: "") == nil)
    }

    @Test func `our close in the middle of the peer's message drops that message and keeps the framing`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        let message = clientFrame(0x01, String(repeating: "long ", count: 100)) + clientFrame(0x80, "end")
        #expect(session.events(of: Array(message[..<200])) == [])
        #expect(heldBytes(in: session) > 0)
        #expect(session.sendClose(.goingAway, reason: "") != nil)
        #expect(heldBytes(in: session) == 0)
        let rest = Array(message[200...]) + clientFrame(0x88)
        #expect(session.events(of: rest) == [.closed(answer: nil, code: nil, reason: "")])
    }

    @Test func `a violation after our close has no second close frame`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        _ = session.sendClose(.normal, reason: "")
        let events = session.events(of: [0x83, 0x80])
        guard case .violation(let close, .protocolError, _)? = events.first else {
            Issue.record("\(events)")
            return
        }
        #expect(close.readableBytes == 0)
    }

    @Test func `after a violation nothing is read and nothing is sent`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        #expect(session.events(of: [0x83]).map(\.violated) == [.protocolError])
        #expect(session.events(of: clientFrame(0x81, "late") + clientFrame(0x88), .bytewise) == [])
        #expect(session.sendClose(.normal, reason: "") == nil)
    }

    @Test func `each frame that ends is counted, of whatever kind, whether it is an event or not`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        #expect(session.events(of: clientFrame(0x01, "one ") + clientFrame(0x00, "two ")) == [])
        #expect(session.framesReceived == 2)
        let end = clientFrame(0x80, "three")
        #expect(session.events(of: Array(end.dropLast())) == [])
        #expect(session.framesReceived == 2, "it hasn't ended")
        #expect(session.events(of: Array(end.suffix(1))) == [.text("one two three")])
        #expect(session.events(of: clientFrame(0x8A)) == [.pong])
        #expect(session.framesReceived == 4)
    }

    // MARK: Memory

    @Test func `an idle session is small and holds no memory`() {
        #expect(MemoryLayout<WebSocketSession>.size <= 24)
        var session = WebSocketSession(maxMessageBytes: 65536)
        let talk = clientFrame(0x01, "a") + clientFrame(0x89, "b") + clientFrame(0x80, "c")
        #expect(session.events(of: talk, .bytewise).count == 2)
        #expect(heldBytes(in: session) == 0)
        let partial = Mirror(reflecting: session).descendant("partial") as? [WebSocketAssembler]
        #expect(partial?.capacity == 0)
    }

    @Test func `a session stores what came and not what was announced`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        let frame = clientFrame(0x82, [UInt8](repeating: 7, count: 65536))
        #expect(session.events(of: Array(frame[..<100])) == [])
        #expect((1...1024).contains(heldBytes(in: session)))
    }

    @Test func `copies of a session go their own ways`() {
        var session = WebSocketSession(maxMessageBytes: 65536)
        #expect(session.events(of: clientFrame(0x01, "one ")) == [])
        var copy = session
        #expect(copy.events(of: clientFrame(0x80, "three")) == [.text("one three")])
        #expect(session.events(of: clientFrame(0x80, "two")) == [.text("one two")])
    }

    /// The capacity of all buffers in a value, found by reflection: no test hook can lie about it.
    private func heldBytes(in value: Any) -> Int {
        if let buffer = value as? ByteBuffer { return buffer.capacity }
        return Mirror(reflecting: value).children.reduce(0) { $0 + heldBytes(in: $1.value) }
    }
}
