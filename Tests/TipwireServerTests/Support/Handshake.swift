/// The requests that open a WebSocket, with the key of RFC 6455's own example.
enum Handshake {
    static let headers =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

    static func request(_ target: String, headers extra: String = "") -> String {
        "GET \(target) HTTP/1.1\r\nHost: tipwire.test\r\n\(headers)\(extra)\r\n"
    }

    /// The answer, byte for byte.
    static let answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
}

/// A refusal at the gate, byte for byte.
func refusal(_ statusLine: String, _ message: String, extra: String = "") -> String {
    let body = #"{"error":"\#(message)"}"#
    return "HTTP/1.1 \(statusLine)\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
        + "content-length: \(body.utf8.count)\r\nconnection: close\r\n\(extra)\r\n\(body)"
}
