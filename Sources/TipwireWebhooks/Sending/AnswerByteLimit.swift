import NIOCore

/// Counts what comes of one answer, as bytes of HTTP, and lets no more through than the limit.
///
/// In front of the parser, so that it bounds the head, trailers and chunk extensions too.
final class AnswerByteLimit: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer

    /// Tells the pipeline that there is more, which is dropped.
    struct Reached: Sendable {}

    private let limit: Int
    private var left: Int

    init(limit: Int) {
        self.limit = limit
        left = limit
    }

    /// A request begins; what comes next is another answer.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        left = limit
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let isOver = bytes.readableBytes > left
        if let part = bytes.readSlice(length: min(left, bytes.readableBytes)), part.readableBytes > 0 {
            left -= part.readableBytes
            context.fireChannelRead(wrapInboundOut(part))
        }
        if isOver { context.fireUserInboundEventTriggered(Reached()) }
    }
}
