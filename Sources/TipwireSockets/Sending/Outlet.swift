import Foundation
import NIOCore

/// The way out for one stream's ready bytes: straight into the kernel where that can be, else through the channel.
///
/// `send(2)` on the channel's own descriptor saves what the channel's write path costs beside the system call, about a
/// third of a delivery. It has two states, and the bytes of a stream are in order because of them:
///
/// - *direct*: all that was ever written here or to the channel is in the kernel. Bytes are sent at once; what the kernel
///   has no room for is given to the channel, which becomes
/// - *held*: the channel may have bytes that the kernel hasn't. All goes through the channel, behind them, until it is
///   found to have none.
///
/// A stream begins held, since an earlier answer of its connection may still be on its way. Nothing is in flight anywhere
/// else: when a socket closes, its bytes are the kernel's, or the channel's to forget. A `SocketSender`, which sends to many
/// of them, has its turn between two steps of the loop, and tells of all it has done before it ends.
///
/// The descriptor belongs to the channel, which may close it, and whose number may be another client's a moment later. So
/// it is used only on the channel's event loop and only while the channel is active there: a channel closes its descriptor
/// and ceases to be active in one step of its loop, before it tells anybody (`BaseSocketChannel.close0`).
public struct Outlet {
    /// The channel's descriptor, none when bytes must go through the channel: with TLS, on a stream of HTTP/2, in tests. And
    /// whose it is, which is asked before each use and so kept here: the way over the pipeline would cost a delivery more than
    /// all the rest that is done for it in here.
    private let socket: (descriptor: NIOBSDSocket.Handle, channel: any Channel)?
    private var isHeld = true

    /// Through the channel alone.
    public init() { socket = nil }

    /// - Parameter context: in the pipeline of a socket whose bytes nothing changes on their way out.
    public init(direct context: ChannelHandlerContext) {
        let found = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        socket = found.map { ($0, context.channel) }
    }

    /// Sends what can be sent at once.
    ///
    /// - Returns: what is left, which the caller has to write to its channel and flush, now; nil if nothing is. Not done
    ///   here, because a channel calls its handlers in the middle of a write, and those may write.
    public mutating func send(_ bytes: ByteBuffer, context: ChannelHandlerContext) -> ByteBuffer? {
        guard let descriptor = openDescriptor(context) else { return bytes }
        let sent = bytes.withUnsafeReadableBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, Self.flags) }
        guard sent != bytes.readableBytes else { return nil }
        isHeld = true
        // A broken connection (-1) is the channel's to find out, as a full one is its to wait for.
        var rest = bytes
        rest.moveReaderIndex(forwardBy: max(sent, 0))
        return rest
    }

    /// The descriptor, if bytes may be sent to it in this turn of the loop: it is open, and nothing waits for it elsewhere.
    /// What the kernel doesn't take of them comes by `send`, before anything else does.
    public mutating func openDescriptor(_ context: ChannelHandlerContext) -> NIOBSDSocket.Handle? {
        // A closed channel has the words for that.
        guard let socket, !isHolding(context), socket.channel.isActive else { return nil }
        return socket.descriptor
    }

    /// Whether bytes that were written have not left this process yet.
    public mutating func isHolding(_ context: ChannelHandlerContext) -> Bool {
        if !isHeld { return false }
        let waiting = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        isHeld = waiting > 0
        return isHeld
    }

    static let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
}
