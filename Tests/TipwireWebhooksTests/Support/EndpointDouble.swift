import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// An endpoint that does what a test tells it to, with raw bytes where that takes some.
final class EndpointDouble: Sendable {
    /// What it does with a request.
    enum Behaviour: Sendable {
        case answer(String)
        /// Sends this and then closes; nothing at all for the empty text.
        case close(after: String)
        case silence
        /// Sends the first text, and then the second again and again for as long as anyone takes it.
        case endless(String, String)

        static func status(_ status: Int, _ headers: String = "", body: String = "") -> Behaviour {
            .answer("HTTP/1.1 \(status) X\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }
    }

    struct Request: Sendable {
        let head: HTTPRequestHead
        let body: ByteBuffer
        /// Which connection it came on, counted from 1.
        let connection: Int
    }

    private struct State {
        var requests: [Request] = []
        var connections = 0
        var ended = 0
        var bytesSent = 0
    }

    private let state = Mutex(State())
    private let respond: @Sendable (Int, Request) -> Behaviour
    private let channel: Mutex<(any Channel)?> = Mutex(nil)
    let port: Int

    /// - Parameters:
    ///   - tls: Given, it speaks TLS.
    ///   - respond: What to do with a request; gets its number, from 1.
    init(
        tls: NIOSSLContext? = nil, respond: @escaping @Sendable (Int, Request) -> Behaviour
    ) async throws {
        self.respond = respond
        let box = Mutex<EndpointDouble?>(nil)
        let handlers: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
            channel.eventLoop.makeCompletedFuture {
                guard let endpoint = box.withLock({ $0 }) else { throw ChannelError.ioOnClosedChannel }
                let pipeline = channel.pipeline.syncOperations
                if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder()))
                try pipeline.addHandler(EndpointHandler(endpoint))
            }
        }
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer(handlers)
            .bind(host: "127.0.0.1", port: 0)
            .get()
        port = server.localAddress!.port!
        channel.withLock { $0 = server }
        box.withLock { $0 = self }
    }

    convenience init(tls: NIOSSLContext? = nil, _ behaviour: Behaviour) async throws {
        try await self.init(tls: tls) { _, _ in behaviour }
    }

    var requests: [Request] { state.withLock { $0.requests } }
    var connections: Int { state.withLock { $0.connections } }
    /// Connections that have ended.
    var ended: Int { state.withLock { $0.ended } }
    var bytesSent: Int { state.withLock { $0.bytesSent } }

    func stop() async {
        let server = channel.withLock { $0.take() }
        try? await server?.close()
    }

    fileprivate func connected() -> Int {
        state.withLock { state in
            state.connections += 1
            return state.connections
        }
    }

    fileprivate func disconnected() { state.withLock { $0.ended += 1 } }
    fileprivate func sent(_ bytes: Int) { state.withLock { $0.bytesSent += bytes } }

    fileprivate func received(_ request: Request) -> Behaviour {
        let number = state.withLock { state in
            state.requests.append(request)
            return state.requests.count
        }
        return respond(number, request)
    }
}

private final class EndpointHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    private let endpoint: EndpointDouble
    private var connection = 0
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var endless: String?

    init(_ endpoint: EndpointDouble) {
        self.endpoint = endpoint
    }

    func channelActive(context: ChannelHandlerContext) {
        connection = endpoint.connected()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        endless = nil
        endpoint.disconnected()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
        case .body(var bytes):
            body.writeBuffer(&bytes)
        case .end:
            guard let head else { return }
            respond(.init(head: head, body: body, connection: connection), context)
        }
    }

    private func respond(_ request: EndpointDouble.Request, _ context: ChannelHandlerContext) {
        switch endpoint.received(request) {
        case .answer(let text):
            send(text, context)
        case .close(let text):
            if !text.isEmpty { send(text, context) }
            context.close(promise: nil)
        case .silence:
            break
        case .endless(let start, let rest):
            send(start, context)
            endless = rest
            flood(context)
        }
    }

    private func send(_ text: String, _ context: ChannelHandlerContext) {
        endpoint.sent(text.utf8.count)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    private func flood(_ context: ChannelHandlerContext) {
        while let endless, context.channel.isWritable { send(endless, context) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { flood(context) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Waits for something that can only be looked at, giving way to everyone else between looks; ends with its test.
func until(_ condition: () -> Bool) async {
    while !condition(), !Task.isCancelled { await Task.yield() }
}
