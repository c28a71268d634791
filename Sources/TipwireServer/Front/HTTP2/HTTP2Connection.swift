import NIOCore
import NIOHTTP2
import NIOSSL

/// The end of an HTTP/2 connection's pipeline: knows how many streams there are, and ends the connection when it is of no
/// more use.
///
/// What comes by the streams is theirs; this is about the connection alone.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// Streams that one connection may have open at a time; a client is told so, and one more is refused.
    static let maxStreams = 100

    private let firstLimit: TimeAmount
    private let idleLimit: TimeAmount
    private var context: ChannelHandlerContext?
    private var openStreams = 0
    private var lastStream = HTTP2StreamID.rootStream
    private var isEnding = false
    private var idleTimer: Scheduled<Void>?

    /// - Parameters:
    ///   - firstLimit: how long it may take to its first stream.
    ///   - idleLimit: how long it may be without one later.
    init(firstLimit: TimeAmount, idleLimit: TimeAmount) {
        self.firstLimit = firstLimit
        self.idleLimit = idleLimit
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        armIdleTimer(firstLimit, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        idleTimer?.cancel()
        context = nil
    }

    // MARK: Streams

    /// Tells this connection of its streams.
    func delegate(on eventLoop: any EventLoop) -> some NIOHTTP2StreamDelegate {
        StreamCount(connection: NIOLoopBound(self, eventLoop: eventLoop))
    }

    private struct StreamCount: NIOHTTP2StreamDelegate {
        let connection: NIOLoopBound<HTTP2Connection>

        func streamCreated(_ id: HTTP2StreamID, channel: any Channel) { connection.value.streamOpened(id) }

        func streamClosed(_ id: HTTP2StreamID, channel: any Channel) { connection.value.streamClosed() }
    }

    private func streamOpened(_ id: HTTP2StreamID) {
        openStreams += 1
        lastStream = max(lastStream, id)
        idleTimer?.cancel()
        idleTimer = nil
    }

    private func streamClosed() {
        openStreams -= 1
        guard openStreams == 0, let context else { return }
        if isEnding { closeNextTurn(context: context) } else { armIdleTimer(idleLimit, context: context) }
    }

    // MARK: Ends

    private func armIdleTimer(_ limit: TimeAmount, context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        idleTimer = context.eventLoop.scheduleTask(in: limit) { bound.value.end() }
    }

    /// Takes no more streams, and closes when those that are open have ended.
    private func end() {
        guard let context, !isEnding else { return }
        isEnding = true
        let goAway = HTTP2Frame.FramePayload.goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil)
        context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: goAway)), promise: nil)
        if openStreams == 0 { closeNextTurn(context: context) }
    }

    /// A stream's last frame is written before it is flushed, and its end is told between the two. And a channel that is closed drops
    /// what the kernel hasn't taken yet.
    private func closeNextTurn(context: ChannelHandlerContext) {
        let channel = context.channel
        let limit = idleLimit
        context.eventLoop.assumeIsolated().execute {
            let timer = channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
            channel.closeFuture.whenComplete { _ in timer.cancel() }
            let below = try? channel.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
            guard let below else { return channel.close(promise: nil) }
            below.flushed().whenComplete { _ in channel.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent: end()
        // A peer that sends no more can't even grant room for what it would read.
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// No HTTP/2, or the connection is broken. The handler below has told the peer where there was something to tell.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if Self.isOfOneStream(error) { return }
        // Bytes after the end of a stream, or something that breaks the connection: the library doesn't tell which. What runs
        // may end, and what is new comes by another connection.
        if error is NIOHTTP2Errors.BadStreamStateTransition { return end() }
        closeNextTurn(context: context)
    }

    /// A stream's fault is the stream's alone, which has been reset: its neighbours go on.
    ///
    /// The library passes on what it found in a request (RFC 9113, 8.1.1: malformed) and what broke the connection in one
    /// way. These are all that it finds in a request, and nothing but requests have them.
    private static func isOfOneStream(_ error: any Error) -> Bool {
        switch error {
        case is NIOHTTP2Errors.StreamError,
            is NIOHTTP2Errors.DuplicatePseudoHeader, is NIOHTTP2Errors.MissingPseudoHeader,
            is NIOHTTP2Errors.UnknownPseudoHeader, is NIOHTTP2Errors.UnsupportedPseudoHeader,
            is NIOHTTP2Errors.InvalidPseudoHeaders, is NIOHTTP2Errors.InvalidPseudoHeaderValue,
            is NIOHTTP2Errors.PseudoHeaderAfterRegularHeader, is NIOHTTP2Errors.EmptyPathHeader,
            is NIOHTTP2Errors.InvalidHTTP2HeaderFieldName, is NIOHTTP2Errors.InvalidHTTP2HeaderFieldValue,
            is NIOHTTP2Errors.ForbiddenHeaderField, is NIOHTTP2Errors.TrailersWithoutEndStream,
            is NIOHTTP2Errors.ContentLengthViolated, is NIOHTTP2Errors.ContentLengthHeadersMismatch,
            is NIOHTTP2Errors.ContentLengthHeaderNegative, is NIOHTTP2Errors.ContentLengthHeaderMalformedValue:
            true
        default: false
        }
    }
}
