import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOHTTPTypesHTTP2
import TipwireHub
import TipwireSockets

/// What the gates of all connections share.
struct FrontContext: Sendable {
    struct Limits: Sendable {
        /// From the accept (a second after it for who says nothing), or the first byte of a later request, to the end of the head.
        let head: TimeAmount
        /// From there to the end of its body.
        let body: TimeAmount
        /// Between two requests.
        let idle: TimeAmount
        /// Between our last byte and the peer's end.
        let close = TimeAmount.seconds(5)
    }

    let limits: Limits
    /// Who decides about streams; nil on a port that has none.
    let streams: StreamDoor?
    /// Who takes tips in by the short way; nil on a port that takes none.
    let tips: TipDoor?
    let fanout: Fanout
    let maxMessageBytes: Int
    let drain: DrainPlan
    let backend: HTTPBackend
    let served: AsyncStream<HTTPBackend.Value>.Continuation
    let responses: ResponseCounts
    let logger: Logger
    /// Whether a stream's bytes go onto the wire as they are: there is no TLS.
    private(set) var isPlain = false

    func speaking(plainly isPlain: Bool) -> FrontContext {
        var copy = self
        copy.isPlain = isPlain
        return copy
    }

    /// Puts HTTP/1.1 into a connection's pipeline.
    func speakHTTP(
        on channel: any Channel, at reception: Reception, as entrance: RequestGate.Entrance = .newcomer
    ) throws {
        let gate = RequestGate(front: self, at: reception, as: entrance)
        try channel.pipeline.syncOperations.addHandlers(
            RequestInlet(to: gate, pipelined: reception.pipelined), ByteToMessageHandler(RequestDecoder()), gate)
    }

    /// Puts HTTP/2 into a connection's pipeline.
    func speakHTTP2(on channel: any Channel) throws {
        let connection = HTTP2Connection(firstLimit: limits.head, idleLimit: limits.idle)
        var settings = NIOHTTP2Handler.ConnectionConfiguration()
        // What a client had on its way when its stream was reset is no offence, however many streams there were.
        settings.maximumRecentlyResetStreams = 10 * HTTP2Connection.maxStreams
        settings.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: HTTP2Connection.maxStreams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: RequestDecoder.maxHeadBytes),
        ]
        _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: settings, streamConfiguration: .init(),
            streamDelegate: connection.delegate(on: channel.eventLoop)
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandlers(
                    [HTTP2FramePayloadToHTTPServerCodec(), HTTP2Gate(front: self)])
            }
        }
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    /// Gives a stream of HTTP/2 to the HTTP service.
    func serve(stream: any Channel) throws { served.yield(try backend.wrap(stream: stream)) }

    /// Makes a stream of HTTP/2 an event stream: answers its request and puts its handler where the gate was.
    func takeOver(_ stream: AcceptedStream, context: ChannelHandlerContext, gate: HTTP2Gate) {
        let pipeline = context.pipeline.syncOperations
        do {
            let handler = handler(of: stream, on: context.eventLoop)
            let head = HTTPResponse(status: .ok, headerFields: HTTPFields(stream.headers, splitCookie: false))
            context.writeAndFlush(NIOAny(HTTPResponsePart.head(head)), promise: nil)
            let transport = ChannelTransport(handler)
            try pipeline.addHandlers([EventStreamBody(), transport], position: .before(gate))
            pipeline.removeHandler(context: context, promise: nil)
            handler.begin(stream, on: transport)
            transport.readOn()
        } catch {
            logger.error("a stream could not take its channel over", metadata: ["error": "\(error)"])
            context.close(promise: nil)
        }
    }

    /// What speaks on a stream's connection.
    func handler(of stream: AcceptedStream, on eventLoop: any EventLoop) -> any StreamHandler {
        stream.handler(on: fanout.shard(on: eventLoop), maxMessageBytes: maxMessageBytes, drain: drain)
    }

    /// Gives a connection to the HTTP service.
    func serve(context: ChannelHandlerContext, gate: RequestGate) throws {
        var failure: (any Error)?
        backend.setup(channel: context.channel, logger: logger).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): served.yield(channel)
            case .failure(let error): failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Makes a connection a stream: takes HTTP out of the pipeline, and then the stream out of the channel, if it can leave it.
    func takeOver(
        _ stream: AcceptedStream, context: ChannelHandlerContext, gate: RequestGate, at reception: Reception,
        hasEncoder: Bool
    ) {
        let pipeline = context.pipeline.syncOperations
        do {
            let departure = Departure(stream, front: self, from: reception)
            try pipeline.addHandler(departure, position: .before(gate))
            if hasEncoder {
                pipeline.removeHandler(
                    context: try pipeline.context(handlerType: HTTPResponseEncoder.self), promise: nil)
            }
            pipeline.removeHandler(context: context, promise: nil)
            // The decoder may be in the middle of what one read brought, and goes in the loop's next turn. Bytes that followed the request
            // are in the inlet, which hands them on as it goes.
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<RequestDecoder>.self)
            let inlet = try pipeline.context(handlerType: RequestInlet.self)
            let gone = context.eventLoop.makePromise(of: Void.self)
            gone.futureResult.assumeIsolated().whenSuccess {
                pipeline.removeHandler(context: inlet, promise: nil)
                departure.depart()
            }
            pipeline.removeHandler(context: decoder, promise: gone)
        } catch {
            logger.error("a stream could not take its connection over", metadata: ["error": "\(error)"])
            context.close(promise: nil)
        }
    }
}
