import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server that answers each request with bytes of the test's choice.
final class ScriptedServer: Sendable {
    enum Answer: Sendable {
        /// The connection stays as it is.
        case open([UInt8])
        /// The connection ends behind the bytes; without any it breaks off where the answer was due.
        case last([UInt8])

        static func open(_ text: String) -> Answer { .open(Array(text.utf8)) }
        static func last(_ text: String) -> Answer { .last(Array(text.utf8)) }
    }

    let port: Int
    private let listener: any Channel
    private let received: NIOLockedValueBox<[String]>

    /// Every request that came, head and body, in order.
    var requests: [String] { received.withLockedValue { $0 } }

    /// - Parameter answer: Called with the number of the request, from 0, and the request itself.
    static func start(_ answer: @escaping @Sendable (Int, String) -> Answer) async throws -> ScriptedServer {
        let received = NIOLockedValueBox<[String]>([])
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Conversation(received: received, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedServer(listener: listener, received: received)
    }

    private init(listener: any Channel, received: NIOLockedValueBox<[String]>) {
        self.listener = listener
        self.received = received
        port = listener.localAddress?.port ?? 0
    }

    func close() async throws { try await listener.close() }
}

private final class Conversation: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let received: NIOLockedValueBox<[String]>
    private let answer: @Sendable (Int, String) -> ScriptedServer.Answer
    private var request = ""

    init(
        received: NIOLockedValueBox<[String]>, answer: @escaping @Sendable (Int, String) -> ScriptedServer.Answer
    ) {
        self.received = received
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        request += String(buffer: Self.unwrapInboundIn(data))
        guard isWhole else { return }
        let whole = request
        request = ""
        let number = received.withLockedValue { requests in
            requests.append(whole)
            return requests.count - 1
        }
        switch answer(number, whole) {
        case .open(let bytes):
            context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        case .last(let bytes):
            context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            context.close(promise: nil)
        }
    }

    /// Whether the head has come, and as much after it as it announced.
    private var isWhole: Bool {
        guard let end = request.firstRange(of: "\r\n\r\n") else { return false }
        let length = request.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
        let announced = length.flatMap { Int($0.dropFirst(15).drop { $0 == " " }) } ?? 0
        return request[end.upperBound...].utf8.count >= announced
    }
}
