import Logging
import NIOCore
import TipwireSockets

/// Stands where HTTP stood while a stream's connection is taken from it, and keeps what comes meanwhile.
///
/// A connection that has asked for something else before is a channel, and behind it waits a task of the HTTP service: 20 KB,
/// of which a stream needs nothing. So where the stream's bytes go onto the wire as they are, it is given a socket
/// of its own for the same connection and the channel is closed, which ends all that served HTTP in the way in which it always
/// ends (`Reception.bareSocket`). Where they don't, the stream takes the channel's end of the pipeline.
final class Departure: ChannelInboundHandler, RemovableChannelHandler {
    /// Bytes that follow the request, for the stream. Whatever else the decoder says on its way out is for nobody.
    typealias InboundIn = Any

    private let stream: AcceptedStream
    private let front: FrontContext
    private let reception: Reception
    private var context: ChannelHandlerContext?
    private var received = ByteBuffer()
    private var isInputEnded = false

    init(_ stream: AcceptedStream, front: FrontContext, from reception: Reception) {
        self.stream = stream
        self.front = front
        self.reception = reception
    }

    /// The decoder is gone, and what it held is here.
    func depart() {
        guard let context, context.channel.isActive else { return }
        let handler = front.handler(of: stream, on: context.eventLoop)
        if front.isPlain, let socket = reception.bareSocket(outOf: context.channel) {
            socket.delegate = handler
            handler.begin(stream, on: socket)
            // The poll tells of all that is unread, the end included.
            if socket.isOpen, received.readableBytes > 0 { handler.received(received) }
        } else {
            do { try stay(with: handler, context) } catch {
                front.logger.error("a stream could not take its connection over", metadata: ["error": "\(error)"])
                context.close(promise: nil)
                return
            }
        }
        // It was let in before, so it is told like all others.
        if reception.isQuiescing { handler.shutDown() }
    }

    private func stay(with handler: any StreamHandler, _ context: ChannelHandlerContext) throws {
        let channel = context.channel
        let transport = ChannelTransport(handler)
        try context.pipeline.syncOperations.addHandler(transport, position: .before(self))
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        try channel.syncOptions?.setOption(
            .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: StreamLimits.readBytes))
        handler.begin(stream, on: transport)
        if channel.isActive, received.readableBytes > 0 { handler.received(received) }
        if channel.isActive, isInputEnded { handler.inputEnded() }
        // The gate may have held a read back while an earlier request of this connection was answered.
        transport.readOn()
    }

    // MARK: Meanwhile

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .byteBuffer(var bytes)? = unwrapInboundIn(data) as? IOData else { return }
        received.writeBuffer(&bytes)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The server's end is asked of the reception, and tells nobody behind who waits for requests.
        if case ChannelEvent.inputClosed = event { isInputEnded = true }
    }

    /// The connection is broken, which the channel sees to itself.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
