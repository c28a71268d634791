import NIOCore
import NIOWebSocket
import Testing

@testable import tipwire

@Suite struct SocketSessionTests {
    private static func text(_ text: String) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: text))
    }

    @Test("Two pings without a pong end the connection at the third tick")
    func silence() {
        var session = SocketSession<FeedMessage>()
        #expect(session.pingIsDue() == .sendText("ping"))
        #expect(session.pingIsDue() == .sendText("ping"))
        #expect(session.pingIsDue() == .end(.silent("no answer to 2 pings")))
    }

    @Test("A pong, even a late one, clears the count")
    func pong() {
        var session = SocketSession<FeedMessage>()
        for _ in 0..<5 {
            #expect(session.pingIsDue() == .sendText("ping"))
            #expect(session.pingIsDue() == .sendText("ping"))
            #expect(session.received(Self.text("pong")) == nil)
        }
    }

    @Test("Where nothing greets, the first ping goes out at once, and its answer is shown")
    func opened() {
        var feed = SocketSession<FeedMessage>()
        #expect(feed.opened() == nil)
        var eventSub = SocketSession<EventSubMessage>()
        #expect(eventSub.opened() == .sendText("PING"))
        #expect(eventSub.received(Self.text("PONG")) == .show(.pong, json: "PONG"))
        #expect(eventSub.pingIsDue() == .sendText("PING"))
        #expect(eventSub.pingIsDue() == .sendText("PING"))
        #expect(eventSub.pingIsDue() == .end(.silent("no answer to 2 pings")))
    }

    @Test("The server's probes are answered with their own bytes")
    func probe() {
        var session = SocketSession<FeedMessage>()
        let frame = WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer(string: "7"))
        #expect(session.received(frame) == .sendPong(ByteBuffer(string: "7")))
    }

    @Test("A close frame carries its code and reason out, and may have neither")
    func close() {
        var session = SocketSession<FeedMessage>()
        var data = ByteBuffer()
        data.writeInteger(UInt16(1008))
        data.writeString("key revoked")
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: data)
        #expect(session.received(frame) == .end(.closed(code: 1008, reason: "key revoked")))
        let bare = WebSocketFrame(fin: true, opcode: .connectionClose, data: ByteBuffer())
        #expect(session.received(bare) == .end(.closed(code: 1005, reason: "")))
    }

    @Test("Messages are shown with the JSON they came as; what is no message is passed over")
    func messages() {
        var session = SocketSession<FeedMessage>()
        let json = #"{"type":"later.thing","cursor":"e-7","payload":[1]}"#
        #expect(session.received(Self.text(json)) == .show(.other(type: "later.thing", cursor: "e-7"), json: json))
        #expect(session.received(Self.text("not json")) == nil)
        #expect(session.received(Self.text("[1]")) == nil)
        #expect(session.received(WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(string: "x"))) == nil)
    }
}
