import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import TipwireHub

/// What the gates of all connections share.
struct FrontContext: Sendable {
    struct Limits: Sendable {
        /// From the accept to the end of the first request's head.
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
    let fanout: Fanout
    let maxMessageBytes: Int
    let drain: DrainPlan
    let backend: HTTPBackend
    let served: AsyncStream<HTTPBackend.Value>.Continuation
    let logger: Logger

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

    /// Makes a connection a stream: puts its handler where the gate was and takes HTTP out of the pipeline.
    func takeOver(
        _ stream: AcceptedStream, context: ChannelHandlerContext, gate: RequestGate, hasEncoder: Bool
    ) {
        let pipeline = context.pipeline.syncOperations
        do {
            let handler = stream.handler(
                on: fanout.shard(on: context.eventLoop), maxMessageBytes: maxMessageBytes, drain: drain)
            try pipeline.addHandler(handler, position: .before(gate))
            if hasEncoder {
                pipeline.removeHandler(
                    context: try pipeline.context(handlerType: HTTPResponseEncoder.self), promise: nil)
            }
            pipeline.removeHandler(context: context, promise: nil)
            // The decoder hands bytes that followed the request on to the new handler as it goes.
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            pipeline.removeHandler(context: decoder, promise: nil)
            try context.channel.syncOptions?.setOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: StreamLimits.readBytes))
            handler.begin()
        } catch {
            logger.error("a stream could not take its connection over", metadata: ["error": "\(error)"])
            context.close(promise: nil)
        }
    }
}
