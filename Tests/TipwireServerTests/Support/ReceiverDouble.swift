import NIOCore
import NIOHTTP1
import NIOPosix
import TipwireCore
import TipwireTestSupport

@testable import TipwireServer

/// A webhook's endpoint on this machine, which answers what a test says.
final class ReceiverDouble: Sendable {
    struct Received: Sendable {
        let method: String
        /// The values of each, by its name in lower case.
        let headers: [String: [String]]
        let body: String
    }

    private let channel: any Channel
    let received: Watched<[Received]>
    /// What it answers, with the text "noted".
    let status: Watched<Int>

    /// Listens while `body` lasts.
    static func run(_ body: (ReceiverDouble) async throws -> Void) async throws {
        let receiver = try await ReceiverDouble()
        do {
            try await body(receiver)
        } catch {
            try? await receiver.channel.close()
            throw error
        }
        try? await receiver.channel.close()
    }

    private init() async throws {
        let received = Watched<[Received]>([])
        let status = Watched(200)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(received, status))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.received = received
        self.status = status
    }

    var callback: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)/hook" }

    /// Returns when so many messages have come; gives the last of them.
    func received(_ count: Int) async throws -> Received {
        try await received.wait { $0.count >= count }
        return received.value[count - 1]
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let received: Watched<[Received]>
        private let status: Watched<Int>
        private var head: HTTPRequestHead?
        private var body = ""

        init(_ received: Watched<[Received]>, _ status: Watched<Int>) {
            self.received = received
            self.status = status
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): (self.head, body) = (head, "")
            case .body(let bytes): body += String(buffer: bytes)
            case .end:
                guard let head else { return }
                let headers = Dictionary(grouping: head.headers) { $0.name.lowercased() }.mapValues { $0.map(\.value) }
                let message = Received(method: head.method.rawValue, headers: headers, body: body)
                received.change { $0.append(message) }
                let answer = HTTPResponseHead(
                    version: .http1_1, status: .init(statusCode: status.value), headers: ["Content-Length": "5"])
                context.write(wrapOutboundOut(.head(answer)), promise: nil)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: "noted")))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}

extension TestServer.Options {
    /// Lets webhooks lead to endpoints on this machine.
    mutating func allowLoopback() {
        configuration.webhooks.allowHTTP = true
        configuration.webhooks.allowedNetworks = [AddressRange("127.0.0.0/8")!]
    }
}
