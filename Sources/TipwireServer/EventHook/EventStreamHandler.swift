import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireSockets
import TipwireWire

/// One stream of server-sent events: a connection that is only written to.
///
/// What to deliver is decided by the shard; this adds the first messages, the comments that keep the connection alive, and
/// a clean end.
final class EventStreamHandler: StreamHandler, SubscriberSink {
    private let framing: StreamFraming
    private let shard: Shard
    private let drain: DrainPlan
    private var transport: (any StreamTransport)?
    private var subscriber: Subscriber?
    private var permit: StreamPermit?
    private var isEnding = false

    init(framing: StreamFraming, shard: Shard, drain: DrainPlan) {
        self.framing = framing
        self.shard = shard
        self.drain = drain
    }

    /// Subscribes, then answers: an event committed after the answer was read can't be missed.
    func begin(_ stream: AcceptedStream, on transport: any StreamTransport) {
        self.transport = transport
        permit = stream.permit
        guard let subscription = stream.subscription else { preconditionFailure("nobody is told farewell this way") }
        let subscriber = shard.subscribe(subscription, sink: self)
        self.subscriber = subscriber
        var first = stream.opening
        // Who asked for a position is told it with `connected`, and so not before it is known.
        if subscription.start == .live {
            first.writeImmutableBuffer(framing.frame(ServerSentEvent.message(EventHookMessage.connected, id: nil)))
        }
        write(first)
        shard.start(subscriber)
    }

    private func leaveFanout() {
        if let subscriber { shard.remove(subscriber) }
        subscriber = nil
    }

    // MARK: Inbound

    /// Nothing that a client could say has a meaning here. It is read all the same, because its end has one.
    func received(_ bytes: ByteBuffer) {}

    func inputEnded() { transport?.close() }

    func writabilityChanged() {
        if isWritable, let subscriber { shard.becameWritable(subscriber) }
    }

    func held() {
        if let subscriber { shard.held(subscriber) }
    }

    func failed(_ error: any Error) {
        // What came in one packet with the request meant nothing to HTTP, and as little to us.
        if error is RequestFault || error is HTTPParserError { return }
        // There is nobody left to tell.
        transport?.close()
    }

    func ended() {
        leaveFanout()
        transport = nil
    }

    /// Until its turn has come a stream gets its events as ever.
    func shutDown() {
        let handler = NIOLoopBound(self, eventLoop: shard.eventLoop)
        shard.eventLoop.scheduleTask(in: drain.turn()) {
            let handler = handler.value
            handler.leaveFanout()
            handler.finish(within: StreamLimits.shutdownClose)
        }
    }

    // MARK: Outbound

    var isWritable: Bool { transport?.isWritable ?? false }

    var openDescriptor: NIOBSDSocket.Handle? { transport?.openDescriptor }

    func write(_ bytes: ByteBuffer) { transport?.send(bytes) }

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
        guard let transport, !isEnding else { return }
        isEnding = true
        if framing.end.readableBytes > 0 { write(framing.end) }
        transport.closeOutput()
        transport.close(in: limit)
    }
}
