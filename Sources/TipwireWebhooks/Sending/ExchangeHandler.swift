import NIOCore
import NIOHTTP1
import NIOTLS

/// The end of a connection's pipeline: sends one request at a time, and tells how it was answered.
///
/// Belongs to its channel's event loop. What anything means is decided by `Exchange`.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// A connection that never became ready, and why.
    struct OpeningFailure: Error {
        let outcome: AttemptOutcome
    }

    private let isSecure: Bool
    private let idleTime: TimeAmount
    private let firstUse: TimeAmount
    private let bytes: AnswerByteLimit
    private var exchange: Exchange
    /// Of the answer's body, as far as it came; nil when it comes in chunks.
    private var bodyBytes: Int? = 0
    private var context: ChannelHandlerContext?
    private var opening: EventLoopPromise<Void>?
    private var answer: EventLoopPromise<Exchange.Result>?
    private var timers: [Scheduled<Void>] = []

    /// - Parameter bytes: the handler that sees the answers' bytes first.
    init(isSecure: Bool, bytes: AnswerByteLimit, limits: SendingLimits) {
        self.isSecure = isSecure
        self.bytes = bytes
        idleTime = limits.idleTime
        firstUse = limits.connect
        exchange = Exchange(isSecure: isSecure, excerptBytes: limits.excerptBytes)
    }

    // MARK: For the sender

    /// Succeeds when the connection is ready; fails with an `OpeningFailure` when it can't become so before `deadline`.
    func open(before deadline: NIODeadline, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        if let outcome = exchange.ending { return eventLoop.makeFailedFuture(OpeningFailure(outcome: outcome)) }
        guard exchange.isOpening, let context else { return eventLoop.makeSucceededVoidFuture() }
        let promise = eventLoop.makePromise(of: Void.self)
        opening = promise
        start(.opening, at: deadline, context)
        return promise.futureResult
    }

    /// Sends a request, and gives back how it ended; never fails.
    func send(
        _ head: HTTPRequestHead, _ body: ByteBuffer, headLimit: TimeAmount, deadline: NIODeadline,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<Exchange.Result> {
        guard let context, exchange.begin() else {
            return eventLoop.makeSucceededFuture(Exchange.Result(outcome: .closedEarly(status: nil)))
        }
        stopTimers()
        let promise = eventLoop.makePromise(of: Exchange.Result.self)
        answer = promise
        start(.head, at: .now() + headLimit, context)
        start(.whole, at: deadline, context)
        // A write that fails comes with the end of the connection, which is what tells.
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        return promise.futureResult
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        perform(exchange.disconnected(), context)
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        if !isSecure { perform(exchange.opened(), context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted: perform(exchange.opened(), context)
        case is AnswerByteLimit.Reached: perform(exchange.tooLong(), context)
        case is AnswerByteLimit.Unasked: perform(exchange.unasked(), context)
        default: break
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            bodyBytes = head.headers.contains(name: "Transfer-Encoding") ? nil : 0
            perform(exchange.head(head), context)
        case .body(let part):
            bodyBytes? += part.readableBytes
            perform(exchange.body(part), context)
        case .end:
            perform(exchange.end(isExact: bytes.ended(body: bodyBytes)), context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        perform(exchange.failed(Exchange.Fault(error, isOpening: exchange.isOpening)), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        perform(exchange.disconnected(), context)
    }

    private func perform(_ action: Exchange.Action, _ context: ChannelHandlerContext) {
        switch action {
        case .nothing:
            break
        case .opened:
            stopTimers()
            opening?.succeed()
            opening = nil
            // Only until its first request, which is made at once unless the attempt was cancelled.
            start(.idle, at: .now() + firstUse, context)
        case .failedToOpen(let outcome):
            close(context)
            opening?.fail(OpeningFailure(outcome: outcome))
            opening = nil
        case .ended(let result):
            if result.isReusable {
                stopTimers()
                start(.idle, at: .now() + idleTime, context)
            } else {
                close(context)
            }
            answer?.succeed(result)
            answer = nil
        case .close:
            close(context)
        }
    }

    /// At once, without TLS's farewell: an endpoint that won't stop sending would be read on until it answered that.
    private func close(_ context: ChannelHandlerContext) {
        stopTimers()
        context.triggerUserOutboundEvent(PeerCheckHandler.CloseNow(), promise: nil)
    }

    // MARK: Time

    private func start(_ limit: Exchange.Limit, at deadline: NIODeadline, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timers.append(
            context.eventLoop.scheduleTask(deadline: deadline) {
                let handler = bound.value
                guard let context = handler.context else { return }
                handler.perform(handler.exchange.passed(limit), context)
            })
    }

    private func stopTimers() {
        for timer in timers { timer.cancel() }
        timers.removeAll(keepingCapacity: true)
    }
}
