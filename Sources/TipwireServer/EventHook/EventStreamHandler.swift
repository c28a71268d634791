import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireSending
import TipwireWire

/// One stream of server-sent events: a connection that is only written to.
///
/// What to deliver is decided by the shard; this adds the first messages, the comments that keep the connection alive, and
/// a clean end.
final class EventStreamHandler: StreamHandler, SubscriberSink {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let framing: StreamFraming
    private let shard: Shard
    private let drain: DrainPlan
    private var context: ChannelHandlerContext?
    private var subscriber: Subscriber?
    private var permit: StreamPermit?
    private var isEnding = false
    private var outlet = Outlet()
    private(set) var isWritable = true

    init(framing: StreamFraming, shard: Shard, drain: DrainPlan) {
        self.framing = framing
        self.shard = shard
        self.drain = drain
    }

    /// Subscribes, then answers: an event committed after the answer was read can't be missed.
    func begin(_ stream: AcceptedStream, through outlet: Outlet) {
        self.outlet = outlet
        permit = stream.permit
        guard let context else { preconditionFailure("a stream begins in its pipeline") }
        guard let subscription = stream.subscription else { preconditionFailure("nobody is told farewell this way") }
        isWritable = context.channel.isWritable
        let subscriber = shard.subscribe(subscription, sink: self)
        self.subscriber = subscriber
        var first = stream.opening
        // Who asked for a position is told it with `connected`, and so not before it is known.
        if subscription.start == .live {
            first.writeImmutableBuffer(framing.frame(ServerSentEvent.message(EventHookMessage.connected, id: nil)))
        }
        write(first)
        shard.start(subscriber)
        // The gate may have held a read back while an earlier request of this connection was answered.
        context.read()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        leaveFanout()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        leaveFanout()
        self.context = nil
        // When this connection carried requests before, the HTTP service behind still waits for its end.
        context.fireChannelInactive()
    }

    private func leaveFanout() {
        if let subscriber { shard.remove(subscriber) }
        subscriber = nil
    }

    // MARK: Inbound

    /// Nothing that a client could say has a meaning here. It is read all the same, because its end has one.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable, let subscriber { shard.becameWritable(subscriber) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            shutDown(context: context)
        case ChannelEvent.inputClosed:
            context.close(promise: nil)
        default:
            break
        }
    }

    /// Until its turn has come a stream gets its events as ever.
    private func shutDown(context: ChannelHandlerContext) {
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: drain.turn()) {
            let handler = handler.value
            handler.leaveFanout()
            handler.finish(within: StreamLimits.shutdownClose)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What came in one packet with the request meant nothing to HTTP, and as little to us.
        if error is RequestFault || error is HTTPParserError { return }
        // A broken connection, seen by its socket. There is nobody left to tell.
        context.close(promise: nil)
    }

    // MARK: Outbound

    var openDescriptor: NIOBSDSocket.Handle? { context.flatMap { outlet.openDescriptor($0) } }

    func write(_ bytes: ByteBuffer) {
        guard let context, let rest = outlet.send(bytes, context: context) else { return }
        if let subscriber { shard.held(subscriber) }
        context.writeAndFlush(wrapOutboundOut(rest), promise: nil)
    }

    func resumed(_ resumption: Resumption, epoch: String) {
        let id = Cursor(epoch: epoch, sequence: resumption.start).description
        var first = framing.frame(ServerSentEvent.message(EventHookMessage.connected, id: id))
        first.writeImmutableBuffer(
            framing.frame(ServerSentEvent.message(EventHookMessage.resumed(resumption.status), id: id)))
        write(first)
    }

    /// A peer that takes nothing needs no comment to know that there is a stream.
    func probe() {
        if isWritable { write(framing.frame(ServerSentEvent.keepalive)) }
    }

    /// The form has no words for a reason: a client that comes back is told it by the answer.
    func end(_ reason: EndReason) {
        subscriber = nil
        finish(within: StreamLimits.close)
    }

    private func finish(within limit: TimeAmount) {
        guard let context, !isEnding else { return }
        isEnding = true
        if framing.end.readableBytes > 0 { write(framing.end) }
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }
}
