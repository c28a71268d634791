import NIOCore
import NIOHTTP1
import Testing

@testable import TipwireWire

@Suite struct WebSocketHandshakeTests {
    /// The request of RFC 6455, section 1.3, without what the server ignores.
    static let example: HTTPHeaders = [
        "Host": "server.example.com", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://example.com",
        "Sec-WebSocket-Protocol": "chat, superchat", "Sec-WebSocket-Version": "13",
    ]

    private func check(
        _ headers: HTTPHeaders, method: String = "GET", version: (Int, Int) = (1, 1)
    ) -> Result<String, WebSocketHandshake.Refusal> {
        WebSocketHandshake.check(method: method, httpVersion: version, headers: headers)
    }

    private func status(_ result: Result<String, WebSocketHandshake.Refusal>) -> Int {
        switch result {
        case .success: 101
        case .failure(let refusal): refusal.reason.hasSuffix(".") ? refusal.status : 0
        }
    }

    private func example(_ name: String, _ values: String...) -> HTTPHeaders {
        var headers = Self.example
        headers.remove(name: name)
        for value in values { headers.add(name: name, value: value) }
        return headers
    }

    @Test func `the RFC's request gets the RFC's answer`() {
        #expect(check(Self.example) == .success("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        #expect(
            String(buffer: WebSocketHandshake.response(accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) == """
                HTTP/1.1 101 Switching Protocols\r
                Upgrade: websocket\r
                Connection: Upgrade\r
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
                \r

                """)
    }

    @Test func `extra headers come before the empty line`() {
        let bytes = WebSocketHandshake.response(accept: "x", extraHeaders: ["X-Request-Id": "7", "Server": "Tipwire"])
        #expect(
            String(buffer: bytes).hasSuffix("Sec-WebSocket-Accept: x\r\nX-Request-Id: 7\r\nServer: Tipwire\r\n\r\n"))
    }

    @Test func `tokens are found in any case and in any list`() {
        #expect(status(check(example("Upgrade", "WebSocket"))) == 101)
        #expect(status(check(example("Upgrade", "h2c, WEBSOCKET"))) == 101)
        #expect(status(check(example("Connection", "keep-alive, upgrade"))) == 101)
        #expect(status(check(example("Connection", "keep-alive", "Upgrade"))) == 101)
        #expect(status(check(Self.example, version: (2, 0))) == 101)
    }

    @Test func `a malformed handshake is a 400`() {
        #expect(status(check(example("Upgrade"))) == 400)
        #expect(status(check(example("Upgrade", "websockets"))) == 400)
        #expect(status(check(example("Connection"))) == 400)
        #expect(status(check(example("Connection", "close"))) == 400)
        #expect(status(check(example("Sec-WebSocket-Version"))) == 400)
        #expect(status(check(Self.example, version: (1, 0))) == 400)
    }

    @Test(arguments: [
        "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZWE=", "AAAA", "dGhl HNhbXBsZSBub25jZQ==", "dGhl-HNhbXBsZSBub25jZQ==",
        "=GhlIHNhbXBsZSBub25jZQ==",
    ])
    func `a key that is not sixteen bytes in base64 is a 400`(key: String) {
        #expect(status(check(example("Sec-WebSocket-Key", key))) == 400)
    }

    @Test func `there is one key header, neither none nor two`() {
        let key = "dGhlIHNhbXBsZSBub25jZQ=="
        #expect(status(check(example("Sec-WebSocket-Key"))) == 400)
        #expect(status(check(example("Sec-WebSocket-Key", key, key))) == 400)
        #expect(check(example("Sec-WebSocket-Key", " \(key)\t")) == .success("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
    }

    @Test func `another method is a 405 that names GET`() throws {
        let refusal = try #require(throws: WebSocketHandshake.Refusal.self) {
            try check(Self.example, method: "POST").get()
        }
        #expect(refusal.status == 405)
        #expect(refusal.headers == ["Allow": "GET"])
    }

    @Test(arguments: ["8", "12", "14", "013", "13, 8", "", "x"])
    func `another version is a 426 that names ours`(version: String) throws {
        let refusal = try #require(throws: WebSocketHandshake.Refusal.self) {
            try check(example("Sec-WebSocket-Version", version)).get()
        }
        #expect(refusal.status == 426)
        #expect(refusal.headers["Sec-WebSocket-Version"] == ["13"])
        #expect(refusal.headers["Upgrade"] == ["websocket"])
    }

    @Test func `a request asks for an upgrade when its Upgrade header says so`() {
        #expect(WebSocketHandshake.isUpgrade(Self.example))
        #expect(WebSocketHandshake.isUpgrade(["Upgrade": "h2c, WebSocket"]))
        #expect(!WebSocketHandshake.isUpgrade(["Connection": "upgrade"]))
        #expect(!WebSocketHandshake.isUpgrade(["Upgrade": "h2c"]))
        #expect(!WebSocketHandshake.isUpgrade([:]))
    }
}
