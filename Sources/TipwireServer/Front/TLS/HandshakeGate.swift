import NIOCore
import NIOTLS

/// Stands behind TLS until the handshake is done, then makes way for what the two sides have agreed to speak.
///
/// The gate behind it isn't there yet, so the time limit of a handshake is kept here.
final class HandshakeGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let limit: TimeAmount
    private let proceed: (_ negotiated: String?, any Channel) throws -> Void
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - limit: from the accept to the end of the handshake; a slower connection is closed.
    ///   - proceed: puts into the pipeline what speaks the protocol that was agreed on.
    init(limit: TimeAmount, proceed: @escaping (_ negotiated: String?, any Channel) throws -> Void) {
        self.limit = limit
        self.proceed = proceed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted(let negotiated):
            do {
                try proceed(negotiated, context.channel)
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
            } catch {
                context.close(promise: nil)
            }
        // Nothing has been asked, so there is nothing to finish.
        case is ChannelShouldQuiesceEvent, ChannelEvent.inputClosed:
            context.close(promise: nil)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// A peer that speaks no TLS, or none that is safe. TLS has said so in its own words, where there was somebody to tell.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
