import NIOCore
import NIOHTTP1
import TipwireHub
import TipwireSockets
import TipwireWire

/// Tells the requests that become streams from those that don't.
enum StreamRoute {
    /// Where the Event Hook is. Whatever the method: a wrong one is refused in the stream's own form.
    static let eventHook: Substring = "/api/tip-events/stream"

    /// Every WebSocket upgrade is a stream's business, wherever it goes: a wrong path is refused as an upgrade, not
    /// answered with a page.
    static func isStream(_ head: HTTPRequestHead) -> Bool {
        WebSocketHandshake.isUpgrade(head.headers) || path(of: head.uri) == eventHook
    }

    /// The path of a request target, without its query; `/` for an empty one.
    static func path(of target: String) -> Substring {
        let path = target.prefix { $0 != "?" && $0 != "#" }
        return path.isEmpty ? "/" : path
    }
}

/// Decides about streams, each in its dialect's way.
struct StreamDoor: Sendable {
    let sockets: SocketDoor
    let eventHook: EventHookDoor

    func decide(
        _ head: HTTPRequestHead, remote: SocketAddress?, on eventLoop: any EventLoop
    ) -> PendingDecision {
        let decision =
            WebSocketHandshake.isUpgrade(head.headers)
            ? sockets.decide(head, remote: remote, on: eventLoop)
            : eventHook.decide(head, remote: remote, on: eventLoop)
        guard head.method == .HEAD else { return decision }
        return decision.map { decision in
            if case .answer(let answer) = decision { .answer(answer.withoutBody) } else { decision }
        }
    }
}

/// A decision that is there, as nearly all are, or one that is waited for on the connection's event loop.
enum PendingDecision {
    case now(StreamDecision)
    case later(EventLoopFuture<StreamDecision>)

    func map(_ transform: @escaping @Sendable (StreamDecision) -> StreamDecision) -> PendingDecision {
        switch self {
        case .now(let decision): .now(transform(decision))
        case .later(let decision): .later(decision.map(transform))
        }
    }

    /// Calls `body` on the event loop, at once if the decision is there.
    func whenMade<Owner>(
        for owner: Owner, on eventLoop: any EventLoop,
        _ body: @escaping @Sendable (Owner, Result<StreamDecision, any Error>) -> Void
    ) {
        switch self {
        case .now(let decision): body(owner, .success(decision))
        case .later(let decision):
            let bound = NIOLoopBound(owner, eventLoop: eventLoop)
            decision.whenComplete { body(bound.value, $0) }
        }
    }
}

/// What becomes of a stream's request.
enum StreamDecision: Sendable {
    case accept(AcceptedStream)
    case answer(FrontAnswer)
}

/// A stream that may begin.
struct AcceptedStream: Sendable {
    /// How it speaks to its client.
    enum Form: Sendable {
        case webSocket(any SocketVoice)
        case serverSentEvents(StreamFraming)
    }

    /// What it is opened for.
    enum Purpose: Sendable {
        case listen(Subscription)
        /// To be told why it can't stay, by who reads messages rather than statuses.
        case farewell(String)
    }

    let form: Form
    let purpose: Purpose
    /// The bytes that answer the request: a handshake, or the head of a response that has no end yet.
    let opening: ByteBuffer
    /// The headers that answer it where the transport has a form of its own for them, as HTTP/2 does; `opening` is empty
    /// then, and these are otherwise: a stream keeps what it is for as long as it lives.
    var headers: HTTPHeaders = [:]
    /// Its place among the streams; given back when it ends. Who is only told farewell takes none.
    let permit: StreamPermit?
    /// The EventSub subscription that it was promised.
    var claim: SocketClaim?
    /// It took its client long to be let in.
    var hasWaited = false

    var subscription: Subscription? { if case .listen(let subscription) = purpose { subscription } else { nil } }

    func handler(
        on shard: Shard, maxMessageBytes: Int, drain: DrainPlan
    ) -> any StreamHandler & SubscriberSink {
        switch form {
        case .webSocket(let voice):
            WebSocketHandler(voice: voice, shard: shard, maxMessageBytes: maxMessageBytes, drain: drain)
        case .serverSentEvents(let framing):
            EventStreamHandler(framing: framing, shard: shard, drain: drain)
        }
    }
}

/// What a connection is given to when it is a stream.
protocol StreamHandler: StreamTransportDelegate {
    /// Subscribes and answers the request; called once, with a transport whose delegate this is. Of the request nothing is kept but
    /// what the stream needs for as long as it lives.
    func begin(_ stream: AcceptedStream, on transport: any StreamTransport)
}

/// Time and bytes that every stream is given.
enum StreamLimits {
    /// Who had to wait for so long to be let in may have lost its patience, and be gone unseen.
    static let longWait = TimeAmount.milliseconds(500)
    /// How long a peer may take to end its side once we have ended ours.
    static let close = TimeAmount.seconds(5)
    /// The same when the server is going down, where everyone waits for the slowest.
    static let shutdownClose = TimeAmount.seconds(1)
    /// Bytes of one read from a client, who says little: a handshake fits, and a ping. Each connection keeps a buffer of this
    /// size, which is a quarter of what it costs.
    static let readBytes = 1_024
}
