import NIOCore
import NIOPosix
import TipwireWire

/// A bare TCP connection of a test: bytes out, and bytes in as they are awaited.
///
/// It lives for `lifetime` at most, so that a server that keeps silent fails a test instead of hanging it.
final class Wire {
    static let lifetime = TimeAmount.seconds(12)

    private enum Arrival: Sendable {
        case bytes(ByteBuffer)
        case reset
    }

    private let channel: any Channel
    private let expiry: Flag
    private var arrivals: AsyncStream<Arrival>.Iterator
    private var received = ByteBuffer()
    /// The peer has ended its side, in whatever way.
    private(set) var hasEnded = false
    /// It was the test's own limit that ended this, not the server.
    var hasExpired: Bool { expiry.isSet }
    /// The peer ended with a reset: what it had sent before may be lost.
    private(set) var wasReset = false

    static func open(port: Int) async throws -> Wire {
        let (arrivals, continuation) = AsyncStream<Arrival>.makeStream()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Receiver(continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let expiry = Flag()
        let end = channel.eventLoop.scheduleTask(in: lifetime) {
            expiry.set()
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in end.cancel() }
        return Wire(channel: channel, expiry: expiry, arrivals: arrivals.makeAsyncIterator())
    }

    private init(channel: any Channel, expiry: Flag, arrivals: AsyncStream<Arrival>.Iterator) {
        self.channel = channel
        self.expiry = expiry
        self.arrivals = arrivals
    }

    deinit { channel.close(promise: nil) }

    // MARK: Out

    func send(_ text: String) async throws { try await send(ByteBuffer(string: text)) }

    func send(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes).get() }

    /// Sends a masked frame, as a client does.
    func send(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) async throws {
        try await send(WebSocketFrame.masked(opcode: opcode, payload: payload, key: 0x0102_0304))
    }

    /// Ends our side and keeps the other.
    func endSending() async throws { try await channel.close(mode: .output).get() }

    func close() async { try? await channel.close().get() }

    // MARK: In

    /// The next `count` bytes.
    func bytes(_ count: Int) async throws -> ByteBuffer {
        while received.readableBytes < count { try await more("\(count) bytes") }
        return received.readSlice(length: count)!
    }

    /// Everything up to and with `mark`.
    func text(through mark: String) async throws -> String {
        while true {
            if let range = received.readableBytesView.firstRange(of: Array(mark.utf8)) {
                return received.readString(length: range.upperBound - received.readerIndex)!
            }
            try await more("'\(mark)'")
        }
    }

    /// Everything that still comes before the peer ends.
    func rest() async -> String {
        while await arrive() {}
        defer { received.clear() }
        return String(buffer: received)
    }

    private func more(_ wanted: String) async throws {
        guard await arrive() else {
            throw Cut(wanted: wanted, got: String(buffer: received), wasReset: wasReset)
        }
    }

    private func arrive() async -> Bool {
        guard !hasEnded else { return false }
        switch await arrivals.next() {
        case .bytes(var bytes)?:
            received.writeBuffer(&bytes)
            return true
        case .reset?:
            wasReset = true
            hasEnded = true
        case nil:
            hasEnded = true
        }
        return false
    }

    /// The peer ended before what was awaited came.
    struct Cut: Error, CustomStringConvertible {
        let wanted: String
        let got: String
        let wasReset: Bool

        var description: String {
            "the connection \(wasReset ? "was reset" : "ended") before \(wanted); there was '\(got)'"
        }
    }

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let arrivals: AsyncStream<Arrival>.Continuation

        init(_ arrivals: AsyncStream<Arrival>.Continuation) { self.arrivals = arrivals }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            arrivals.yield(.bytes(unwrapInboundIn(data)))
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { arrivals.finish() }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            arrivals.yield(.reset)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { arrivals.finish() }
    }
}
