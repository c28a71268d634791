import NIOCore
import NIOHTTP1
import TipwireHub
import TipwireWire

/// Tells the requests that become streams from those that don't.
enum StreamRoute {
    /// Every WebSocket upgrade is a stream's business, wherever it goes: a wrong path is refused as an upgrade, not
    /// answered with a page.
    static func isStream(_ head: HTTPRequestHead) -> Bool {
        WebSocketHandshake.isUpgrade(head.headers)
    }

    /// The path of a request target, without its query; `/` for an empty one.
    static func path(of target: String) -> Substring {
        let path = target.prefix { $0 != "?" && $0 != "#" }
        return path.isEmpty ? "/" : path
    }
}

/// What becomes of a stream's request.
enum StreamDecision: Sendable {
    case accept(AcceptedStream)
    case refuse(Refusal)
}

/// A stream that may begin.
struct AcceptedStream: Sendable {
    let subscription: Subscription
    /// The bytes that answer the handshake.
    let handshake: ByteBuffer
    /// Its place among the streams; given back when it ends.
    let permit: StreamPermit
}
