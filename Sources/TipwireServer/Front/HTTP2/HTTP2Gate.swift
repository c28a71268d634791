import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOHTTPTypesHTTP2

/// Stands at the start of each HTTP/2 stream and sends its request the way it must go: what `RequestGate` is for a
/// connection of HTTP/1.1, without all that comes of one request following another.
final class HTTP2Gate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Bytes of an answer that are handed down at once, so that progress shows while a large one is taken.
    private static let pieceBytes = 16 * 1_024
    private static let host = HTTPField.Name("host")!

    private enum State {
        /// The head is awaited. It comes with the stream.
        case fresh
        /// The request is being received or answered.
        case busy(Exchange)
        /// An event stream's request has been recognised; its end is awaited.
        case opening(HTTPRequestHead)
        /// An event stream's right is being looked up.
        case deciding
        /// The whole answer has been written, or the stream is another handler's.
        case done
    }

    private struct Exchange {
        var hasResponseBegun = false
        /// The client holds the body back until it is told to send it.
        var awaitsContinue = false
    }

    private let front: FrontContext
    private var state = State.fresh
    private var deadline: Deadline?
    /// The client has sent all that it wanted to.
    private var isRequestWhole = false
    /// The peer has taken some of the answer since the last look.
    private var hasProgressed = false

    init(front: FrontContext) { self.front = front }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = Deadline(on: context.eventLoop) { self.timeIsUp(context: context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    private func leave() {
        deadline?.cancel()
        deadline = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        state = .done
        context.fireChannelInactive()
    }

    // MARK: The request

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if case .end = part { isRequestWhole = true }
        switch (state, part) {
        case (.fresh, .head(let request)):
            begin(request, context: context)
        case (.busy(var exchange), _):
            if case .end = part, !exchange.hasResponseBegun { expect(false) }
            exchange.awaitsContinue = false
            state = .busy(exchange)
            context.fireChannelRead(data)
        case (.opening(let head), .end):
            open(head, context: context)
        case (.opening, _), (.fresh, _), (.deciding, _), (.done, _):
            // An event stream's request has no body worth reading, and nothing follows a refusal.
            break
        }
    }

    private func begin(_ received: HTTPRequest, context: ChannelHandlerContext) {
        guard var head = try? HTTPRequestHead(received) else {
            return answer(FrontAnswer(status: .badRequest, message: "The request has no path."), context: context)
        }
        head.version = .http2
        // Said twice in the same words it is said once (RFC 9113, 8.3.1).
        if let authority = received.authority, received.headerFields[values: Self.host] == [authority] {
            head.headers.replaceOrAdd(name: "host", value: authority)
        }
        if let refusal = HeadCheck.refusal(of: &head) {
            return answer(refusal, context: context)
        }
        var request = received
        request.path = head.uri
        expect(true)
        if StreamRoute.isStream(head) {
            // Only a GET can become a stream. Any other is answered without waiting for its body.
            guard head.method == .GET else { return open(head, context: context) }
            state = .opening(head)
            if HeadCheck.awaitsContinue(head) { goOnWithBody(context: context) }
            return
        }
        do {
            try front.serve(stream: context.channel)
        } catch {
            context.close(promise: nil)
            return
        }
        state = .busy(Exchange(awaitsContinue: HeadCheck.awaitsContinue(head)))
        context.fireChannelRead(wrapInboundOut(.head(request)))
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        switch event {
        case is BodyWanted:
            bodyWanted(context: context)
            promise?.succeed(())
        case is BodyEnd:
            if case .busy = state, isRequestWhole { promise?.succeed(()) } else { promise?.fail(ChannelError.eof) }
        default:
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    private func bodyWanted(context: ChannelHandlerContext) {
        guard case .busy(var exchange) = state, exchange.awaitsContinue, !exchange.hasResponseBegun else { return }
        exchange.awaitsContinue = false
        state = .busy(exchange)
        goOnWithBody(context: context)
    }

    /// Tells a client that holds its body back to send it.
    private func goOnWithBody(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    // MARK: The answer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .busy(var exchange) = state else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head:
            exchange.hasResponseBegun = true
            state = .busy(exchange)
            expect(true)
            context.write(data, promise: promise)
        case .body(var bytes):
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            while bytes.readableBytes > Self.pieceBytes, let piece = bytes.readSlice(length: Self.pieceBytes) {
                let taken = context.eventLoop.makePromise(of: Void.self)
                taken.futureResult.whenSuccess { bound.value.hasProgressed = true }
                context.write(wrapOutboundOut(.body(piece)), promise: taken)
            }
            context.write(wrapOutboundOut(.body(bytes)), promise: promise)
        case .end:
            state = .done
            writeEnd(data, promise: promise, context: context)
        }
    }

    /// Ends the answer, and then, if need be, the request: the client needn't send a body that nobody will read (RFC 9113,
    /// 8.1). Only when the end is gone, since a reset takes with it what waits to be written.
    private func writeEnd(_ end: NIOAny, promise: EventLoopPromise<Void>?, context: ChannelHandlerContext) {
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        written.futureResult.whenSuccess {
            let (gate, context) = bound.value
            if !gate.isRequestWhole { gate.reset(.noError, context: context) }
        }
        if let promise { written.futureResult.cascade(to: promise) }
        context.writeAndFlush(end, promise: written)
    }

    private func reset(_ code: NIOHTTP2.HTTP2ErrorCode, context: ChannelHandlerContext) {
        context.triggerUserOutboundEvent(NIOHTTP2FramePayloadToHTTPEvent.reset(code: code), promise: nil)
    }

    private func answer(_ answer: FrontAnswer, isStreams: Bool = false, context: ChannelHandlerContext) {
        if !isStreams { front.responses.count(answer) }
        state = .done
        expect(true)
        context.write(wrapOutboundOut(.head(answer.response)), promise: nil)
        if answer.body.readableBytes > 0 { context.write(wrapOutboundOut(.body(answer.body)), promise: nil) }
        writeEnd(NIOAny(HTTPResponsePart.end(nil)), promise: nil, context: context)
    }

    // MARK: Event streams

    private func open(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        guard let streams = front.streams else {
            return answer(FrontAnswer(status: .notFound, message: "There is no stream here."), context: context)
        }
        state = .deciding
        let decision = streams.decide(head, remote: context.channel.remoteAddress, on: context.eventLoop)
        decision.whenMade(for: (self, context), on: context.eventLoop) { owner, result in
            owner.0.decided(result, context: owner.1)
        }
    }

    private func decided(_ result: Result<StreamDecision, any Error>, context: ChannelHandlerContext) {
        guard case .deciding = state, context.channel.isActive else { return }
        switch result {
        case .success(.accept(let stream)):
            state = .done
            expect(false)
            front.takeOver(stream, context: context, gate: self)
        case .success(.answer(let decided)):
            answer(decided, isStreams: true, context: context)
        case .failure:
            answer(.unavailable, context: context)
        }
    }

    // MARK: Time

    /// Starts the limit for what the peer must do next, send its body or take the answer, or ends it.
    private func expect(_ isExpected: Bool) {
        hasProgressed = false
        deadline?.set(within: isExpected ? front.limits.body : nil)
    }

    private func timeIsUp(context: ChannelHandlerContext) {
        switch state {
        case .opening:
            answer(.slowBody, context: context)
        case .busy(let exchange) where !exchange.hasResponseBegun:
            answer(.slowBody, context: context)
        case .busy, .done:
            if hasProgressed { expect(true) } else { context.close(promise: nil) }
        case .fresh, .deciding:
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The stream was reset, or its connection is gone. There is nobody to answer.
        context.close(promise: nil)
    }
}

/// Between an event stream and HTTP/2: bytes are body, and the end of our side is the end of the answer.
final class EventStreamBody: ChannelDuplexHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = HTTPResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(wrapOutboundOut(.body(unwrapOutboundIn(data))), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
        } else {
            context.close(mode: mode, promise: promise)
        }
    }
}
