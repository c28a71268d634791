import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import TipwireWire

/// A server that says back what it is told: what foreign test suites try Tipwire's side of the WebSocket protocol by, and
/// what clients can be tried against. The decoder and the session are those of the feeds.
public struct WebSocketEcho: Sendable {
    /// The largest message, in bytes; a larger one is 1009. Suites send more than anybody says to a feed.
    public static let maxMessageBytes = 16 << 20
    /// Most connections at a time; one more is closed as it is accepted. Each may hold a message and its echo.
    public static let maxConnections = 64
    /// From the accept to the end of the handshake's request.
    static let handshakeLimit = TimeAmount.seconds(10)

    private let channel: any Channel

    /// Listens. Throws `IOError` when the address can't be had.
    public static func bind(host: String, port: Int) async throws -> WebSocketEcho {
        signal(SIGPIPE, SIG_IGN)
        let quota = StreamQuota(maximum: maxConnections)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let permit = quota.take() else { throw ChannelError.ioOnClosedChannel }
                    channel.closeFuture.whenComplete { _ in withExtendedLifetime(permit) {} }
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(RequestDecoder()), EchoDoor())
                }
            }
            .bind(host: host, port: port).get()
        return WebSocketEcho(channel: channel)
    }

    /// The port that was bound.
    public var port: Int { channel.localAddress?.port ?? 0 }

    /// Serves until the task is cancelled.
    public func run() async throws {
        try await withTaskCancellationHandler {
            try await channel.closeFuture.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

/// Answers a connection's one request: with a WebSocket, or with the reason why not.
private final class EchoDoor: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    private var request: HTTPRequestHead?
    private var isAnswered = false
    private var deadline: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: WebSocketEcho.handshakeLimit) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): request = head
        case .body: break
        case .end: if let request { open(request, context: context) }
        }
    }

    private func open(_ request: HTTPRequestHead, context: ChannelHandlerContext) {
        isAnswered = true
        let version = (major: request.version.major, minor: request.version.minor)
        switch WebSocketHandshake.check(
            method: request.method.rawValue, httpVersion: version, headers: request.headers)
        {
        case .success(let accept):
            deadline?.cancel()
            becomeEcho(accept, context: context)
        case .failure(let refusal):
            refuse(
                FrontAnswer(
                    status: HTTPResponseStatus(statusCode: refusal.status), message: refusal.reason,
                    headers: refusal.headers),
                context: context)
        }
    }

    private func becomeEcho(_ accept: String, context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do {
            let handler = EchoHandler()
            let transport = ChannelTransport(handler)
            handler.attach(to: transport)
            try pipeline.addHandler(transport, position: .before(self))
            context.writeAndFlush(wrapOutboundOut(WebSocketHandshake.response(accept: accept)), promise: nil)
            pipeline.removeHandler(context: context, promise: nil)
            // The decoder hands bytes that followed the request on as it goes.
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<RequestDecoder>.self)
            pipeline.removeHandler(context: decoder, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    /// The rest is the peer's: what it still sends is read and dropped until it ends its side or the time is up.
    private func refuse(_ answer: FrontAnswer, context: ChannelHandlerContext) {
        isAnswered = true
        context.writeAndFlush(wrapOutboundOut(answer.bytes), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let fault = error as? RequestFault, !isAnswered else {
            if !isAnswered { context.close(promise: nil) }
            return
        }
        refuse(HeadCheck.refusal(for: fault), context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }
}

/// The socket that echoes.
final class EchoHandler: WebSocketConnection {
    init() { super.init(maxMessageBytes: WebSocketEcho.maxMessageBytes) }

    override func received(text: ByteBuffer) { send(WebSocketFrame.text(text)) }

    override func received(binary: ByteBuffer) { send(WebSocketFrame.binary(binary)) }

    override func shutDown() { close(.serviceRestart, "the server is shutting down") }
}
