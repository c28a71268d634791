import NIOCore

/// Stands in the pipeline of a socket that listens, and reads it, which is to accept, only while `Newcomers` has room. Whoever
/// comes meanwhile waits in the backlog.
final class AcceptPacer: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let newcomers: Newcomers
    private var accepted = 0
    private var began = NIODeadline.distantPast
    private var isReadHeld = false

    init(_ newcomers: Newcomers) { self.newcomers = newcomers }

    func handlerAdded(context: ChannelHandlerContext) {
        newcomers.roomMade = { [unowned self] in proceed(context: context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { newcomers.roomMade = {} }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if accepted == 0 { began = context.eventLoop.now }
        accepted += 1
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if accepted >= Newcomers.burst { newcomers.rest(since: began) }
        accepted = 0
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if !newcomers.hasRoom { isReadHeld = true } else { context.read() }
    }

    private func proceed(context: ChannelHandlerContext) {
        guard isReadHeld, newcomers.hasRoom, context.channel.isActive else { return }
        isReadHeld = false
        context.read()
    }
}
