import NIOCore

/// Looks at the bytes of each answer before the parser does: lets no more through than the limit, and knows whether an
/// answer ended where its bytes did.
///
/// In front of the parser, so that it bounds the head, trailers and chunk extensions too. And because the parser tells of
/// what it understands alone: the beginning of another answer that nobody asked for would stay in it unseen, and be taken
/// for the answer to the next request.
final class AnswerByteLimit: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer

    /// Tells the pipeline that there is more, which is dropped.
    struct Reached: Sendable {}
    /// Tells the pipeline that something came which no request asked for.
    struct Unasked: Sendable {}

    private static let headEnd: [UInt8] = Array("\r\n\r\n".utf8)
    private static let lastChunk: [UInt8] = Array("0\r\n\r\n".utf8)

    private let limit: Int
    private var isAwaited = false
    private var received = 0
    /// Bytes through the end of the first head; nil before it.
    private var headBytes: Int?
    /// The last that came, as many as an end may have.
    private var tail: [UInt8] = []

    init(limit: Int) { self.limit = limit }

    /// A request begins; what comes next is another answer.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if !isAwaited {
            isAwaited = true
            received = 0
            headBytes = nil
            tail = []
        }
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard isAwaited else {
            context.fireUserInboundEventTriggered(Unasked())
            return
        }
        let left = limit - received
        let isOver = bytes.readableBytes > left
        if let part = bytes.readSlice(length: min(left, bytes.readableBytes)), part.readableBytes > 0 {
            note(part)
            context.fireChannelRead(wrapInboundOut(part))
        }
        if isOver { context.fireUserInboundEventTriggered(Reached()) }
    }

    private func note(_ bytes: ByteBuffer) {
        if headBytes == nil {
            // An end may have begun in what came before.
            let joint = tail.suffix(Self.headEnd.count - 1) + bytes.readableBytesView
            if let end = joint.firstRange(of: Self.headEnd)?.upperBound {
                headBytes = received + bytes.readableBytes - (joint.endIndex - end)
            }
        }
        received += bytes.readableBytes
        tail = Array((tail + bytes.readableBytesView.suffix(Self.lastChunk.count)).suffix(Self.lastChunk.count))
    }

    /// The answer has been understood to its end.
    ///
    /// - Parameter body: its length; nil when it came in chunks.
    /// - Returns: whether nothing has come behind it. Of an answer with more than one head, or with trailers, that isn't
    ///   known, and then the connection had better not be used again.
    func ended(body: Int?) -> Bool {
        isAwaited = false
        guard let headBytes else { return false }
        return body.map { received == headBytes + $0 } ?? (tail == Self.lastChunk)
    }
}
