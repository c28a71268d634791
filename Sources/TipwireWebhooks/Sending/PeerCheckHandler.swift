import NIOCore
import TipwireCore

/// The front of a connection's pipeline: holds the address that was connected to against the one that was checked,
/// before a single byte is sent.
///
/// The connection is made to an address and not to a name, so nothing should ever come in between; this is the proof
/// of it, at the place that a proxy, a changed client or a mistake couldn't get around.
final class PeerCheckHandler: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    struct WrongPeer: Error {}

    /// Asks, from further back in the pipeline, to close the socket without anything more being said or read.
    struct CloseNow: Sendable {}

    private let expected: IPAddress
    private let addresses: AddressGuard

    init(expected: IPAddress, addresses: AddressGuard) {
        self.expected = expected
        self.addresses = addresses
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let text = context.remoteAddress?.ipAddress, let peer = IPAddress(text), peer == expected,
            addresses.refusing(peer) == nil
        else {
            context.fireErrorCaught(WrongPeer())
            return context.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is CloseNow else { return context.triggerUserOutboundEvent(event, promise: promise) }
        context.close(promise: promise)
    }
}

extension Channel {
    /// Closes the socket at once.
    func closeNow() -> EventLoopFuture<Void> {
        triggerUserOutboundEvent(PeerCheckHandler.CloseNow())
    }
}
