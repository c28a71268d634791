import Foundation
import NIOCore

/// A system call for each socket, at once.
public final class CallSender: SocketSender {
    private let bench = Workbench()
    private var held: [ByteBuffer] = []
    private var shortfalls: [Shortfall] = []

    public init() {}

    public func hold(_ bytes: ByteBuffer) -> Parcel {
        held.append(bytes)
        return Parcel(bytes)
    }

    public func send(_ bytes: Parcel, to descriptor: NIOBSDSocket.Handle, recipient: Int) {
        let sent = Foundation.send(descriptor, bytes.start, bytes.count, SendCall.flags)
        if sent != bytes.count { shortfalls.append(Shortfall(recipient: recipient, sent: max(sent, 0))) }
    }

    public func send(
        _ size: Int, to descriptor: NIOBSDSocket.Handle, recipient: Int, _ put: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        let place = bench.place(of: size)
        put(place)
        send(Parcel(place), to: descriptor, recipient: recipient)
        bench.clear()
    }

    public func finish() -> [Shortfall] {
        held.removeAll(keepingCapacity: true)
        defer { shortfalls = [] }
        return shortfalls
    }
}
