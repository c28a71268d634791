import NIOCore
import Testing
import TipwireWire

@testable import TipwireServer

@Suite("The echo", .timeLimit(.minutes(1)))
struct WebSocketEchoTests {
    private func onEcho(_ body: (Int) async throws -> Void) async throws {
        let echo = try await WebSocketEcho.bind(host: "127.0.0.1", port: 0)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await echo.run() }
            try await body(echo.port)
            tasks.cancelAll()
        }
    }

    @Test("Text and bytes come back, pings are answered, and a close is")
    func echoes() async throws {
        try await onEcho { port in
            let wire = try await Wire.open(port: port)
            try await wire.send(Handshake.request("/"))
            #expect(try await wire.text(through: "\r\n\r\n") == Handshake.answer)
            for opcode in [WebSocketOpcode.text, .binary] {
                try await wire.send(opcode, ByteBuffer(string: "said"))
                let frame = try await wire.frame()
                #expect(frame.opcode == opcode.rawValue && frame.payload == ByteBuffer(string: "said"))
            }
            try await wire.send(.close, ByteBuffer(bytes: [0x03, 0xE8]))
            #expect(try await wire.frame().closeCode == 1000)
            #expect(await wire.rest() == "")
        }
    }

    @Test("What is no handshake is told why, and the connection ends")
    func refusing() async throws {
        try await onEcho { port in
            let wire = try await Wire.open(port: port)
            try await wire.send("GET / HTTP/1.1\r\nHost: tipwire.test\r\n\r\n")
            let expected = refusal("400 Bad Request", "The Upgrade header does not name websocket.")
            #expect(await wire.rest() == expected)
        }
    }
}
