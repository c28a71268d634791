import ArgumentParser

/// The form in which a subscriber gets events, and how it asks for it.
enum StreamForm: String, CaseIterable, ExpressibleByArgument {
    /// The Pally feed; from peers, WebSockets with the same text.
    case webSocket = "websocket"
    /// EventSub, which is Tipwire's alone: a WebSocket for each subscription, which is made before.
    case eventSub = "eventsub"
    /// The Event Hook; from peers, server-sent events with the same text.
    case eventStream = "sse"

    /// Those that peers can give.
    static let ofPeers: Set<StreamForm> = [.webSocket, .eventStream]

    /// The key of RFC 6455's own example, and the answer to it. A fixed one spares this tool SHA-1; servers can't tell.
    static let webSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="
    static let webSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// What many of them are called.
    var label: String {
        switch self {
        case .webSocket: "WebSockets"
        case .eventSub: "EventSub sockets"
        case .eventStream: "event streams"
        }
    }

    var suite: Sample.Suite {
        switch self {
        case .webSocket: .webSockets
        case .eventSub: .eventSub
        case .eventStream: .eventStreams
        }
    }

    func request(path: String, port: UInt16) -> [UInt8] {
        let asking =
            switch self {
            case .webSocket, .eventSub:
                "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Key: \(Self.webSocketKey)\r\nSec-WebSocket-Version: 13\r\n"
            case .eventStream: "Accept: text/event-stream\r\n"
            }
        return Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\(asking)\r\n".utf8)
    }

    /// Whether an answer's head grants what was asked for.
    func isGranted(by head: ArraySlice<UInt8>) -> Bool {
        let status = String(decoding: head.prefix(12), as: UTF8.self)
        switch self {
        case .webSocket, .eventSub:
            return status == "HTTP/1.1 101"
                && HTTPText.field("sec-websocket-accept", of: head) == Self.webSocketAccept
        case .eventStream:
            return status == "HTTP/1.1 200"
                && HTTPText.field("content-type", of: head)?.hasPrefix("text/event-stream") == true
        }
    }
}
