import NIOConcurrencyHelpers
import Testing

@testable import tipwire

/// The client's half of the handshake against bytes written by hand.
@Suite struct SocketConnectionTests {
    private static func run(answering answer: @escaping @Sendable (String) -> [UInt8]) async throws -> (
        ending: ListeningEnding, shown: [String]
    ) {
        let server = try await ScriptedServer.start { number, request in .open(number == 0 ? answer(request) : []) }
        let connection = SocketConnection<FeedMessage>(
            address: try #require(ServerAddress("http://127.0.0.1:\(server.port)")),
            target: "/?auth=x&channel=firehose", tls: nil)
        let shown = NIOLockedValueBox<[String]>([])
        let ending = try await connection.run {
        } show: { _, json in
            shown.withLockedValue { $0.append(json) }
        }
        try await server.close()
        return (ending, shown.withLockedValue { $0 })
    }

    @Test("Frames that come in one packet with the handshake's answer are not lost")
    func earlyFrames() async throws {
        let message = #"{"type":"x","cursor":"e-1"}"#
        let (ending, shown) = try await Self.run { request in
            ScriptedServer.switching(request) + ScriptedServer.frame(0x81, Array(message.utf8))
                + ScriptedServer.frame(0x88, [0x03, 0xF4] + Array("restart".utf8))
        }
        #expect(shown == [message])
        #expect(ending == .closed(code: 1012, reason: "restart"))
    }

    @Test("A message in fragments is one message")
    func fragments() async throws {
        let (_, shown) = try await Self.run { request in
            ScriptedServer.switching(request) + ScriptedServer.frame(0x01, Array(#"{"type""#.utf8))
                + ScriptedServer.frame(0x80, Array(#":"x"}"#.utf8))
                + ScriptedServer.frame(0x88, [])
        }
        #expect(shown == [#"{"type":"x"}"#])
    }

    @Test("A refusal brings its status, its reason and its Retry-After")
    func refusal() async throws {
        let (ending, shown) = try await Self.run { _ in
            Array(
                ("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 20\r\n\r\n"
                    + #"{"error":"too many"}"#).utf8)
        }
        #expect(ending == .refused(status: 429, detail: "too many", retryAfterSeconds: 7))
        #expect(shown.isEmpty)
    }

    @Test("A 101 whose accept key is wrong opens nothing")
    func wrongAccept() async throws {
        let (ending, shown) = try await Self.run { _ in
            Array(
                ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: AAAA\r\n\r\n").utf8)
                + ScriptedServer.frame(0x81, Array(#"{"type":"x"}"#.utf8))
        }
        #expect(shown.isEmpty)
        if case .closed = ending { Issue.record("the feed was opened: \(ending)") }
    }
}
