import NIOCore
import Synchronization
import TipwireTestSupport

@testable import TipwireSockets

/// A kernel without sockets: it takes of each message what a test or chance wants, all, a part or nothing, at once or at the end
/// of the turn, and gives it to the listener whose descriptor it is.
final class KernelDouble: SocketSender {
    private typealias Send = (bytes: ByteBuffer, descriptor: CInt, recipient: Int)

    private static let sockets = Mutex<(next: CInt, listeners: [CInt: Weak])>((1, [:]))
    private static let seeds = Mutex(TestSeed())

    private struct Weak: Sendable { weak let listener: ListenerDouble? }

    private var random = KernelDouble.seeds.withLock { seed in TestSeed(seed: seed.next()) }
    private var held: [ByteBuffer] = []
    private var waiting: [Send] = []
    private var shortfalls: [Shortfall] = []

    /// A descriptor for a listener.
    static func socket(of listener: ListenerDouble) -> CInt {
        sockets.withLock { sockets in
            defer { sockets.next += 1 }
            sockets.listeners[sockets.next] = Weak(listener: listener)
            return sockets.next
        }
    }

    func hold(_ bytes: ByteBuffer) -> Parcel {
        held.append(bytes)
        return Parcel(bytes)
    }

    func send(_ bytes: Parcel, to descriptor: NIOBSDSocket.Handle, recipient: Int) {
        take((Self.copy(bytes), descriptor, recipient))
    }

    func send(
        _ size: Int, to descriptor: NIOBSDSocket.Handle, recipient: Int, _ put: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        var bytes = ByteBuffer()
        bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { place in
            put(UnsafeMutableRawBufferPointer(rebasing: place[..<size]))
            return size
        }
        take((bytes, descriptor, recipient))
    }

    private static func copy(_ parcel: Parcel) -> ByteBuffer {
        ByteBuffer(bytes: UnsafeRawBufferPointer(start: parcel.start, count: parcel.count))
    }

    private func take(_ send: Send) {
        if random.chance(50) { waiting.append(send) } else { perform(send) }
    }

    private func perform(_ send: Send) {
        let count = send.bytes.readableBytes
        let listener = Self.sockets.withLock { $0.listeners[send.descriptor]?.listener }
        // A full socket has no room for a byte.
        let taken =
            listener?.isWritable == false ? 0 : listener?.heard.value.cut.map { min($0, count) } ?? chance(count)
        if let listener {
            listener.sent(send.bytes.getSlice(at: send.bytes.readerIndex, length: taken)!, of: count)
        }
        if taken < count { shortfalls.append(Shortfall(recipient: send.recipient, sent: taken)) }
    }

    private func chance(_ count: Int) -> Int {
        random.chance(70) ? count : random.chance(50) ? 0 : Int.random(in: 0...count, using: &random)
    }

    func finish() -> [Shortfall] {
        for send in waiting { perform(send) }
        waiting = []
        held = []
        defer { shortfalls = [] }
        return shortfalls
    }
}
