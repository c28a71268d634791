import NIOCore
import TipwireSockets

/// The end of a pipeline in which a stream has its connection, where something lies between its bytes and TCP.
final class ChannelTransport: ChannelInboundHandler, StreamTransport {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let delegate: any StreamTransportDelegate
    private var context: ChannelHandlerContext?
    private(set) var isWritable = true

    init(_ delegate: any StreamTransportDelegate) { self.delegate = delegate }

    /// Somebody above may have held a read back.
    func readOn() { context?.read() }

    // MARK: Out

    var hasUnsent: Bool {
        guard let context else { return true }
        return ((try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0) > 0
    }

    /// What is sent must be made into something else first.
    var openDescriptor: NIOBSDSocket.Handle? { nil }

    func send(_ bytes: ByteBuffer) {
        guard let context else { return }
        delegate.held()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func setReading(_ isReading: Bool) {
        try? context?.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    func closeOutput() { context?.close(mode: .output, promise: nil) }

    func close() { context?.close(promise: nil) }

    func close(in time: TimeAmount) {
        guard let channel = context?.channel else { return }
        channel.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }

    // MARK: In

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isWritable = context.channel.isWritable
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        delegate.ended()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        delegate.ended()
        self.context = nil
        // When this connection carried requests before, the HTTP service behind still waits for its end.
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { delegate.received(unwrapInboundIn(data)) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        delegate.writabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent: delegate.shutDown()
        case ChannelEvent.inputClosed: delegate.inputEnded()
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { delegate.failed(error) }
}
