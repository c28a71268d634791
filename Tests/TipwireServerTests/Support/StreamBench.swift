import NIOCore
import NIOEmbedded
import TipwireCore
import TipwireSockets
import TipwireWire

@testable import TipwireHub
@testable import TipwireServer

/// One stream on an embedded channel: its clock is the test's, and its bytes are exact.
///
/// Made and used within one synchronous stretch, since an embedded loop belongs to the thread that made it.
final class StreamBench {
    static let epoch = "0badcafe"

    let channel = EmbeddedChannel()
    /// What listens on it.
    let sink: any SubscriberSink & StreamHandler
    let quota = StreamQuota(maximum: 1)
    private let ends = Ends()
    private let fanout: Fanout

    /// Runs `body` with a stream of `world.main` that has answered its request.
    static func run(
        _ world: World, form: AcceptedStream.Form = .webSocket(PallyVoice()), start: Subscription.Start = .live,
        maxMessageBytes: Int = 65_536, _ body: (StreamBench) throws -> Void
    ) throws {
        let bench = try StreamBench(world, form: form, start: start, maxMessageBytes: maxMessageBytes)
        try body(bench)
        bench.fanout.stop()
        _ = try? bench.channel.finish(acceptAlreadyClosed: true)
        try bench.channel.embeddedEventLoop.syncShutdownGracefully()
    }

    private init(
        _ world: World, form: AcceptedStream.Form, start: Subscription.Start, maxMessageBytes: Int
    ) throws {
        let position = LogPosition(LogBounds(epoch: Self.epoch, head: 7, prunedThrough: 0))
        let encoder = EventEncoder(directory: world.directory, position: position, publicURL: { "" })
        fanout = Fanout(
            eventLoops: [channel.eventLoop],
            settings: .init(
                idleSeconds: 120, probeSeconds: 45, maxLagBytes: 1 << 20, maxLagSeconds: 30, keepaliveSeconds: 15,
                maxStreamSeconds: 0),
            log: position,
            reader: CatchUpReader(
                store: world.store, directory: world.directory, encoder: encoder, metrics: HubMetrics(),
                logger: World.quiet),
            clock: world.clock.wall)
        let principal = Principal(
            account: world.ada.id, credential: .key(id: "k"), scopes: [.eventsRead], pageLimit: nil, expiresAt: nil)
        let dialect: Dialect =
            switch form {
            case .webSocket: .pally
            case .serverSentEvents(let framing): .eventHook(hasIDs: start != .live, framing)
            }
        let stream = AcceptedStream(
            form: form,
            purpose: .listen(
                Subscription(
                    dialect: dialect, audience: .page(world.main.id), principal: principal, start: start,
                    remoteAddress: "198.51.100.7", connectedAt: world.clock.now)),
            opening: ByteBuffer(string: "HANDSHAKE"), permit: quota.take()!)
        sink = stream.handler(
            on: fanout.shard(on: channel.eventLoop), maxMessageBytes: maxMessageBytes,
            drain: DrainPlan(quota: quota, seconds: 30))
        let transport = ChannelTransport(sink)
        try channel.pipeline.syncOperations.addHandlers(ends, transport)
        try channel.connect(to: SocketAddress(ipAddress: "198.51.100.7", port: 1)).wait()
        sink.begin(stream, on: transport)
    }

    var shard: Shard { fanout.shard(on: channel.eventLoop) }
    /// How the handler has ended its channel so far.
    var closes: [CloseMode] { ends.modes }

    /// What has been written since the last look, as one run of bytes.
    func written() throws -> ByteBuffer {
        var all = ByteBuffer()
        while let next = try channel.readOutbound(as: ByteBuffer.self) { all.writeImmutableBuffer(next) }
        return all
    }

    /// A tip of $5.00 on its way to listeners.
    func tip(_ sequence: Int64, to page: Page) -> EncodedEvent {
        let time = Timestamp(rfc3339: "2026-01-31T12:00:00Z")!
        let tip = Tip(
            id: TipIdentifier("t\(sequence)")!, displayName: "Ada", message: "", grossAmountInCents: 500,
            processingFeeInCents: 0, isAnonymous: false, createdAt: time, processedAt: time)
        return EncodedEvent(
            Event(sequence: sequence, page: page.id, time: time, body: .tipReceived(tip, goal: nil)), page: page,
            publicURL: "", epoch: Self.epoch)
    }

    /// Tells the stream of the shutdown, and waits until its turn, the only one of the plan, must have come.
    func shutDown() {
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
    }

    func send(_ opcode: WebSocketOpcode, _ text: String) throws {
        try send(opcode, ByteBuffer(string: text))
    }

    func send(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) throws {
        try channel.writeInbound(WebSocketFrame.masked(opcode: opcode, payload: payload, key: 0xA1B2_C3D4))
    }

    /// Sets whether the channel takes bytes, and tells the pipeline.
    func setWritable(_ isWritable: Bool) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }

    /// What `autoRead` was last set to; nil if never.
    var autoRead: Bool? {
        channel.options.last { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool
    }

    /// Stands where the socket would be: an end of one side must not end the embedded channel whole.
    private final class Ends: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer

        private(set) var modes: [CloseMode] = []

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            modes.append(mode)
            if mode == .all { context.close(mode: mode, promise: promise) } else { promise?.succeed(()) }
        }
    }
}

/// The bytes of a close frame.
func closeFrame(_ code: UInt16, _ reason: String = "") -> ByteBuffer {
    var frame = ByteBuffer(bytes: [0x88, UInt8(2 + reason.utf8.count)])
    frame.writeInteger(code)
    frame.writeString(reason)
    return frame
}

/// The bytes of a short text frame.
func textFrame(_ text: String) -> ByteBuffer {
    var frame = ByteBuffer(bytes: [0x81])
    if text.utf8.count < 126 {
        frame.writeInteger(UInt8(text.utf8.count))
    } else {
        frame.writeInteger(UInt8(126))
        frame.writeInteger(UInt16(text.utf8.count))
    }
    frame.writeString(text)
    return frame
}
