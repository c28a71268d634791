import CTipwireRing
import Foundation
import NIOCore

/// A system call for each socket, at once.
public final class CallSender: SocketSender {
    private var held: [ByteBuffer] = []
    private var shortfalls: [Shortfall] = []

    public init() {}

    public func hold(_ bytes: ByteBuffer) -> Parcel {
        held.append(bytes)
        return Parcel(bytes)
    }

    public func send(_ bytes: Parcel, to descriptor: NIOBSDSocket.Handle, recipient: Int) {
        let sent = Foundation.send(descriptor, bytes.start, bytes.count, Outlet.flags)
        if sent != bytes.count { shortfalls.append(Shortfall(recipient: recipient, sent: max(sent, 0))) }
    }

    public func send(
        _ bytes: ByteBuffer, before shared: Parcel?, to descriptor: NIOBSDSocket.Handle, recipient: Int
    ) {
        let own = Parcel(bytes)
        defer { withExtendedLifetime(bytes) {} }
        guard let shared else { return send(own, to: descriptor, recipient: recipient) }
        let sent = Int(tipwire_send_two(descriptor, own.start, own.count, shared.start, shared.count))
        if sent != own.count + shared.count {
            shortfalls.append(Shortfall(recipient: recipient, sent: max(sent, 0)))
        }
    }

    public func finish() -> [Shortfall] {
        held.removeAll(keepingCapacity: true)
        defer { shortfalls = [] }
        return shortfalls
    }
}
