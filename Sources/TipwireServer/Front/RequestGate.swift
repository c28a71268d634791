import NIOCore
import NIOHTTP1
import TipwireSockets

/// Stands behind the HTTP decoder of every connection and sends each request the way it must go.
///
/// A stream (a WebSocket upgrade, or server-sent events) is taken over here: it never meets the router, costs no task and no async channel.
/// Everything else goes to the HTTP service, one request at a time: while one is being answered, the next waits in the inlet, so
/// that a stream request behind it finds a connection with nothing in flight. The gate also owns the connection's time
/// limits, because it alone sees both ways in and out.
final class RequestGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What has been seen of a connection before it became a channel.
    enum Entrance {
        /// Nothing, or something that is still unread.
        case newcomer
        /// Nobody waits any more for what it will say.
        case silent
        /// A stream's request that has been read, and has this answer.
        case answered(FrontAnswer)
    }

    private enum State {
        /// Nothing has been asked yet; the pipeline holds the decoder and this.
        case fresh
        /// The HTTP service has the connection and waits for a request.
        case idle
        /// A request is being received or answered.
        case busy(Exchange)
        /// The same without the HTTP service: a tip goes the short way.
        case visiting(Visit)
        /// A stream's request has been recognised; its end is awaited.
        case opening(HTTPRequestHead)
        /// A stream's right is being looked up. With it, since when its client waits.
        case deciding(NIODeadline)
        /// The connection is a stream's, and what comes is for it.
        case leaving
        /// The connection is closing.
        case done
    }

    private struct Exchange {
        var isReceived = false
        var hasResponseBegun = false
        /// The connection ends with this answer.
        var isLast = false
        /// The client holds the body back until it is told to send it.
        var awaitsContinue = false
    }

    /// A tip on its short way. An object, because the state is looked at for each part of a request, which copies it.
    private final class Visit {
        let head: HTTPRequestHead
        let admitted: TipDoor.Visit
        var body = ByteBuffer()
        var isReceived = false
        /// The connection ends with this answer.
        var isLast: Bool

        init(head: HTTPRequestHead, admitted: TipDoor.Visit, isLast: Bool) {
            self.head = head
            self.admitted = admitted
            self.isLast = isLast
        }
    }

    private let front: FrontContext
    private let reception: Reception
    /// Until the first request has come.
    private var ticket: Newcomers.Ticket?
    private var state = State.fresh
    private var isServing = false
    /// What lets requests in; nil once this is out of the pipeline.
    var inlet: RequestInlet?
    /// Bytes of the body that is being received which are still to come; nil if it tells itself where it ends.
    private var bodyLeft: Int?
    private var isInputClosed = false
    private var isQuiescing = false
    /// The channel holds no more unsent than it should.
    private var isWritable = true
    private var deadline: Deadline?
    /// Bytes have come that aren't a whole head yet; its deadline runs.
    private var isReceivingHead = true
    /// What the channel held unsent when the progress of an answer was last looked at.
    private var unsent = 0

    /// The answer that a connection begins with.
    private let early: FrontAnswer?

    init(front: FrontContext, at reception: Reception, as entrance: Entrance = .newcomer) {
        self.front = front
        self.reception = reception
        switch entrance {
        case .newcomer:
            early = nil
            ticket = reception.newcomers.accepted()
        case .silent: early = nil
        case .answered(let answer): early = answer
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if let early { answer(early, isStreams: true, context: context) }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = Deadline(on: context.eventLoop) { self.timeIsUp(context: context) }
        expect(within: front.limits.head)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if case .leaving = state {} else { state = .done }
        inlet = nil
        deadline?.cancel()
        deadline = nil
        hasSpoken()
    }

    private func hasSpoken() {
        guard let ticket else { return }
        self.ticket = nil
        reception.newcomers.spoke(ticket)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        receive(unwrapInboundIn(data), context: context)
    }

    /// What may come next. While a whole request has no answer yet, nothing; nor while answers lie here that the client doesn't take.
    var demand: RequestInlet.Demand {
        switch state {
        case .fresh, .idle: isWritable ? .emptyLine : .nothing
        case .busy(let exchange) where exchange.isReceived: .nothing
        case .visiting(let visit) where visit.isReceived: .nothing
        case .busy, .visiting, .opening: bodyLeft.map { .body($0) } ?? .emptyLine
        case .deciding, .leaving: .nothing
        case .done: .noMore
        }
    }

    private func receive(_ part: HTTPServerRequestPart, context: ChannelHandlerContext) {
        if case .body(let piece) = part, let left = bodyLeft { bodyLeft = left - piece.readableBytes }
        switch (state, part) {
        case (.fresh, .head(let head)), (.idle, .head(let head)):
            begin(head, context: context)
        case (.busy(var exchange), .end):
            exchange.isReceived = true
            state = .busy(exchange)
            expect(within: nil)
            context.fireChannelRead(wrapInboundOut(part))
        case (.busy(var exchange), .body):
            exchange.awaitsContinue = false
            state = .busy(exchange)
            context.fireChannelRead(wrapInboundOut(part))
        case (.visiting(let visit), .body(var piece)):
            if visit.body.readableBytes == 0 { visit.body = piece } else { visit.body.writeBuffer(&piece) }
        case (.visiting(let visit), .end):
            submit(visit, context: context)
        case (.opening(let head), .end):
            open(head, context: context)
        case (.opening, .body), (.deciding, _), (.leaving, _), (.done, _), (.fresh, _), (.idle, _):
            // A stream's request has no body worth reading, and nothing follows a refusal.
            break
        case (.opening, .head), (.busy, .head), (.visiting, .head):
            // The inlet lets in one request at a time. Were this another, whose answer is whose could not be told.
            assertionFailure("a request came inside another")
            context.close(promise: nil)
        }
    }

    private func begin(_ received: HTTPRequestHead, context: ChannelHandlerContext) {
        isReceivingHead = false
        hasSpoken()
        var head = received
        if let refusal = HeadCheck.refusal(of: &head) {
            answer(refusal, context: context)
            return
        }
        bodyLeft = HeadCheck.bodyLength(of: head)
        if StreamRoute.isStream(head) {
            // Only a GET can become a stream. Any other is answered without waiting for its body.
            guard head.method == .GET else { return open(head, context: context) }
            state = .opening(head)
            expect(within: front.limits.body)
            if HeadCheck.awaitsContinue(head), inlet?.isEmpty == true { goOnWithBody(context: context) }
            return
        }
        // After a request that names another protocol, or asks for a tunnel, the decoder reads no further, so the connection must end. HTTP/1.0
        // has several ways to keep one, none of them a standard's.
        let isLast =
            !head.isKeepAlive || head.version != .http1_1 || head.headers.contains(name: "upgrade")
            || head.method == .CONNECT
        expect(within: front.limits.body)
        if let admitted = front.tips?.admit(head) {
            state = .visiting(Visit(head: head, admitted: admitted, isLast: isLast))
        } else {
            serve(head, isLast: isLast, context: context)
        }
    }

    /// Gives a request to the HTTP service.
    private func serve(_ head: HTTPRequestHead, isLast: Bool, context: ChannelHandlerContext) {
        if !isServing {
            do {
                try front.serve(context: context, gate: self)
                isServing = true
            } catch {
                context.close(promise: nil)
                return
            }
        }
        state = .busy(Exchange(isLast: isLast, awaitsContinue: HeadCheck.awaitsContinue(head)))
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    // MARK: The short way

    private func submit(_ visit: Visit, context: ChannelHandlerContext) {
        expect(within: nil)
        visit.isReceived = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        if let door = front.tips {
            let admitted = visit.admitted
            let isTaken = door.receive(visit.body, of: admitted) { outcome in
                // The answer is written here and not there: the thread that commits has the next commit to see to.
                bound.eventLoop.execute {
                    let (gate, context) = bound.value
                    gate.visited(door.answer(to: outcome, admitted), context: context)
                }
            }
            if isTaken { return }
        }
        // Something is not as it should be; the HTTP service knows the words for that.
        serve(visit.head, isLast: visit.isLast, context: context)
        guard case .busy = state else { return }
        if visit.body.readableBytes > 0 { receive(.body(visit.body), context: context) }
        receive(.end(nil), context: context)
        context.fireChannelReadComplete()
    }

    private func visited(_ given: FrontAnswer, context: ChannelHandlerContext) {
        guard case .visiting(let visit) = state, context.channel.isActive else { return }
        var answer = given
        let isLast = visit.isLast || isQuiescing
        if isLast { answer.headers.replaceOrAdd(name: "Connection", value: "close") }
        state = isLast ? .done : .idle
        unsent = 0
        expect(within: isLast ? front.limits.close : front.limits.idle)
        write(answer, context: context)
        guard !isLast else { return finish(context: context) }
        // The service, if it is there, asked for the bytes of this request and will not ask again.
        if isServing { context.read() }
        goOn(context: context)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        switch event {
        case is BodyWanted:
            bodyWanted(context: context)
            promise?.succeed(())
        case is BodyEnd:
            if case .busy(let exchange) = state, exchange.isReceived {
                promise?.succeed(())
            } else {
                promise?.fail(ChannelError.eof)
            }
        default:
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    /// The service has come to the point where it reads the body. Only now is a client that waits for it told to send it: a
    /// request that is refused by its head alone has its answer before a byte of the body is sent.
    private func bodyWanted(context: ChannelHandlerContext) {
        guard case .busy(var exchange) = state, exchange.awaitsContinue, !exchange.isReceived,
            !exchange.hasResponseBegun
        else { return }
        exchange.awaitsContinue = false
        state = .busy(exchange)
        goOnWithBody(context: context)
    }

    /// Tells a client that holds its body back to send it.
    private func goOnWithBody(context: ChannelHandlerContext) {
        if isServing {
            let head = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        } else {
            context.writeAndFlush(NIOAny(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        }
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .busy(var exchange) = state else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.code >= 200:
            exchange.hasResponseBegun = true
            if exchange.isLast || isQuiescing || !exchange.isReceived {
                // An answer that doesn't wait for the body ends the connection: what follows could not be told from it.
                exchange.isLast = true
                head.headers.replaceOrAdd(name: "connection", value: "close")
            }
            state = .busy(exchange)
            unsent = 0
            expect(within: front.limits.body)
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end(let trailers):
            let isLast = exchange.isLast || isQuiescing || !exchange.isReceived
            state = isLast ? .done : .idle
            expect(within: isLast ? front.limits.close : front.limits.idle)
            context.writeAndFlush(wrapOutboundOut(.end(trailers)), promise: promise)
            if isLast { finish(context: context) } else { goOn(context: context) }
        case let part:
            context.write(wrapOutboundOut(part), promise: promise)
        }
    }

    /// A request has been answered; goes on with what came behind it.
    private func goOn(context: ChannelHandlerContext) {
        if isInputClosed { return finish(context: context) }
        // The next one's answer would only wait behind this one, which the client must take first.
        if !isWritable { return expect(within: front.limits.body) }
        inlet?.goOn()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        context.fireChannelWritabilityChanged()
        guard isWritable, case .idle = state else { return }
        if isQuiescing { return quiesce(context: context) }
        expect(within: front.limits.idle)
        goOn(context: context)
    }

    /// Ends the connection after what was written: our side first, so that an answer isn't lost to bytes that the peer is
    /// still sending; the deadline ends the rest.
    private func finish(context: ChannelHandlerContext) {
        // What the peer has ended already, no half of it can be closed alone: the channel would go, with all that it holds.
        if hasClientEnded { return closeWhenSent(context: context) }
        state = .done
        context.close(mode: .output, promise: nil)
        context.read()
    }

    /// The client has ended its side, be it behind something that still waits to be let in.
    private var hasClientEnded: Bool { isInputClosed || inlet?.isEndHeld == true }

    /// Closes when the kernel has all that was written: a channel that is closed drops what it still holds.
    private func closeWhenSent(context: ChannelHandlerContext) {
        state = .done
        expect(within: front.limits.close)
        // Lets go of what is still here.
        context.read()
        whenSent(context: context) { context.close(promise: nil) }
    }

    /// Calls `body` when the kernel has all that was written, or never will.
    private func whenSent(context: ChannelHandlerContext, _ body: @escaping () -> Void) {
        unsent = unsentBytes(context: context)
        if unsent > 0, let inlet { inlet.whenSent(body) } else { body() }
    }

    private func unsentBytes(context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        switch state {
        case .done:
            // Reads on past the last answer: the service behind takes no more, and bytes left unread would turn our close
            // into a reset that destroys the answer on its way.
            context.read()
        case .visiting(let visit) where !visit.isReceived:
            // Nobody behind asks for the rest.
            context.read()
        case .idle where !isReceivingHead && inlet?.isEmpty == true:
            // Something has come, and it was no whole head.
            isReceivingHead = true
            expect(within: front.limits.head)
        default:
            break
        }
    }

    private func answer(_ answer: FrontAnswer, isStreams: Bool = false, context: ChannelHandlerContext) {
        if !isStreams { front.responses.count(answer) }
        state = .done
        expect(within: front.limits.close)
        write(answer, context: context)
        finish(context: context)
    }

    private func write(_ answer: FrontAnswer, context: ChannelHandlerContext) {
        if isServing {
            // The encoder is in the pipeline: the answer takes its form.
            context.write(wrapOutboundOut(.head(answer.head)), promise: nil)
            if answer.body.readableBytes > 0 {
                context.write(wrapOutboundOut(.body(.byteBuffer(answer.body))), promise: nil)
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        } else {
            context.writeAndFlush(NIOAny(answer.bytes), promise: nil)
        }
    }

    // MARK: Streams

    private func open(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        guard let streams = front.streams else {
            answer(FrontAnswer(status: .notFound, message: "There is no stream here."), context: context)
            return
        }
        state = .deciding(.now())
        // Behind the answers to earlier requests: a stream that ends takes its connection with it.
        whenSent(context: context) { self.decide(head, by: streams, context: context) }
    }

    private func decide(_ head: HTTPRequestHead, by streams: StreamDoor, context: ChannelHandlerContext) {
        guard case .deciding = state else { return }
        state = .deciding(.now())
        reception.newcomers.take {
            guard case .deciding = self.state else { return }
            let decision = streams.decide(head, remote: context.channel.remoteAddress, on: context.eventLoop)
            decision.whenMade(for: (self, context), on: context.eventLoop) { owner, result in
                owner.0.decided(result, context: owner.1)
            }
        }
    }

    private func decided(_ result: Result<StreamDecision, any Error>, context: ChannelHandlerContext) {
        guard case .deciding(let asked) = state, context.channel.isActive else { return }
        switch result {
        case .success(.accept) where hasClientEnded:
            // Nobody is there to listen.
            closeWhenSent(context: context)
        case .success(.accept(var stream)) where !isQuiescing:
            state = .leaving
            stream.hasWaited = stream.claim != nil && .now() - asked > StreamLimits.longWait
            deadline?.cancel()
            front.takeOver(stream, context: context, gate: self, at: reception, hasEncoder: isServing)
        case .success(.answer(let decided)):
            answer(decided, isStreams: true, context: context)
        case .success(.accept):
            answer(.shuttingDown, context: context)
        case .failure:
            answer(.unavailable, context: context)
        }
    }

    // MARK: Ends

    /// The service ends its side when it has given the last answer, of which the channel may still hold some. The gate does that itself.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if case .output = mode, case .done = state {
            promise?.succeed(())
        } else {
            context.close(mode: mode, promise: promise)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            isQuiescing = true
            switch state {
            case .idle: quiesce(context: context)
            case .fresh, .opening: closeWhenSent(context: context)
            case .busy, .visiting, .deciding, .leaving, .done: break
            }
        case ChannelEvent.inputClosed:
            isInputClosed = true
            switch state {
            case .fresh, .idle, .opening: closeWhenSent(context: context)
            // It may be a refusal, which is an answer like any other.
            case .deciding: break
            // The answer still goes out; a request that was cut short has none.
            case .busy(let exchange): if !exchange.isReceived { closeWhenSent(context: context) }
            case .visiting(let visit): if !visit.isReceived { closeWhenSent(context: context) }
            // Our side is being closed already, behind the last answer.
            case .done: if unsentBytes(context: context) == 0 { context.close(promise: nil) }
            // Whom the connection is given to stands in front, and has heard it.
            case .leaving: break
            }
        case ChannelEvent.outputClosed:
            context.fireUserInboundEventTriggered(event)
            if isInputClosed { context.close(promise: nil) }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// The server is shutting down, and no request is being answered.
    private func quiesce(context: ChannelHandlerContext) {
        // As soon as there is room for one more answer.
        if !isWritable, inlet?.isEmpty == false { return }
        // What waits was sent before, so it is answered.
        inlet?.passNow()
        // Unless it was no whole request.
        if case .idle = state { closeWhenSent(context: context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let fault = error as? RequestFault else {
            // The decoder throws this one again, in words of ours. An end in the middle of a request is no mistake to answer: the
            // connection is gone, by the peer or by us.
            if case HTTPParserError.invalidVersion = error { return }
            closeWhenSent(context: context)
            return
        }
        switch state {
        case .fresh, .idle, .opening, .visiting: answer(HeadCheck.refusal(for: fault), context: context)
        case .busy(let exchange) where !exchange.hasResponseBegun:
            answer(HeadCheck.refusal(for: fault), context: context)
        case .busy: closeWhenSent(context: context)
        case .deciding, .leaving, .done: break
        }
    }

    // MARK: Time

    /// Sets the time by which something must have happened.
    private func expect(within limit: TimeAmount?) { deadline?.set(within: limit) }

    private func timeIsUp(context: ChannelHandlerContext) {
        if isReceivingBody {
            answer(.slowBody, context: context)
        } else if isTakingTheAnswer(context: context) {
            expect(within: front.limits.body)
        } else {
            context.close(promise: nil)
        }
    }

    private var isReceivingBody: Bool {
        switch state {
        case .busy(let exchange): !exchange.hasResponseBegun
        case .visiting(let visit): !visit.isReceived
        case .opening: true
        case .fresh, .idle, .deciding, .leaving, .done: false
        }
    }

    /// Whether an answer is on its way and the peer has taken some of it since the last look. A slow reader is served as
    /// long as it reads; one that has stopped is not.
    private func isTakingTheAnswer(context: ChannelHandlerContext) -> Bool {
        let left = unsentBytes(context: context)
        defer { unsent = left }
        return left > 0 && left != unsent
    }
}
