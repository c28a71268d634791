import NIOCore

extension ChannelHandlerContext {
    /// Writes nothing, behind everything.
    ///
    /// A channel that is closed drops what it still holds, so who would close it behind an answer waits for this.
    ///
    /// - Returns: when the kernel has all that was written, or never will. For handlers that write bytes: what is below takes
    ///   nothing else.
    func flushed() -> EventLoopFuture<Void> {
        let sent = eventLoop.makePromise(of: Void.self)
        writeAndFlush(NIOAny(ByteBuffer()), promise: sent)
        return sent.futureResult
    }
}
