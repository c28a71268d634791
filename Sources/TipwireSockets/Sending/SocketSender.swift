import Glibc
import NIOCore

/// How the ready bytes of one turn of an event loop reach many sockets.
///
/// A turn is a round of `send` and the `finish` that ends it. Until then the senders may have the kernel take bytes now or
/// later; after it, nothing of the turn is on its way in here: each socket has its bytes, or is in the list of those that
/// took fewer. So a turn must be one stretch of the loop in which no socket can be closed, because the number of a closed
/// one may be another client's at once. Whoever fills a turn calls nobody else meanwhile.
///
/// Belongs to the event loop that it was made on.
public protocol SocketSender: AnyObject {
    /// Keeps bytes where they are until the turn ends: those that go to many.
    func hold(_ bytes: ByteBuffer) -> Parcel
    /// Sends bytes to a socket. It must be open, and have nothing of this stream waiting elsewhere.
    ///
    /// - Parameter recipient: what the list of shortfalls calls it.
    func send(_ bytes: Parcel, to descriptor: NIOBSDSocket.Handle, recipient: Int)
    /// Sends what is this socket's alone: `size` bytes, which `put` puts together in a place that is lent for that call. They are
    /// kept for no longer than it takes to send them: those of all listeners together would be the memory of a turn.
    func send(
        _ size: Int, to descriptor: NIOBSDSocket.Handle, recipient: Int, _ put: (UnsafeMutableRawBufferPointer) -> Void)
    /// Ends the turn, and tells which sockets did not take all.
    func finish() -> [Shortfall]
}

extension SocketSender {
    /// Sends bytes to many; a negative number is passed over.
    ///
    /// - Parameter base: the list of shortfalls calls the first of the descriptors this, and the others by their places after it.
    public func send(_ bytes: Parcel, to descriptors: ContiguousArray<NIOBSDSocket.Handle>, base: Int) {
        for (place, descriptor) in descriptors.enumerated() where descriptor >= 0 {
            send(bytes, to: descriptor, recipient: base + place)
        }
    }
}

/// Bytes that stay in their place for as long as who keeps them says: a turn, or the life of a listener.
public struct Parcel {
    /// Nil of no bytes.
    let start: UnsafeRawPointer?
    public let count: Int

    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// Good for as long as someone keeps `bytes` unchanged.
    public init(_ bytes: ByteBuffer) {
        // The place of a buffer's bytes is its storage's, which moves only when it is written to.
        self = bytes.withUnsafeReadableBytes { Parcel(start: $0.baseAddress, count: $0.count) }
    }

    /// Good for as long as the place is lent.
    init(_ place: UnsafeMutableRawBufferPointer) {
        self.init(start: UnsafeRawPointer(place.baseAddress), count: place.count)
    }

    private init(start: UnsafeRawPointer?, count: Int) {
        self.start = start
        self.count = count
    }
}

/// How `send(2)` is called, by itself and in a ring: it never waits, and a broken connection is told by its result and not by a signal.
enum SendCall {
    static let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
}

/// A socket that took fewer bytes than it was sent: it has no room, or it is broken, which its transport has to find out.
public struct Shortfall: Equatable {
    public let recipient: Int
    /// How many it took.
    public let sent: Int
}

/// Which of the ways a server goes.
public enum SendingWay: Sendable {
    /// A system call for each socket.
    case calls
    /// One for many, by io_uring.
    case ring

    /// Whether this process may use io_uring, and what is sent by it arrives as it should: tries it on sockets of its own.
    ///
    /// - Returns: nil if so, else an errno: ENOSYS where the kernel has none, EPERM where it is forbidden, EINVAL where it
    ///   is too old (before Linux 6.1), ENOTSUP where it does otherwise than it should.
    public static func ringObstacle() -> CInt? { SendRing.obstacle() }

    /// - Parameter onFailure: called once if a ring breaks, with its errno; the sender goes on with system calls.
    public func makeSender(onFailure: @escaping @Sendable (CInt) -> Void) -> any SocketSender {
        makeSender(
            openRing: { () throws(SendRing.Obstacle) in try SendRing(capacity: RingSender.batch) }, onFailure: onFailure
        )
    }

    func makeSender(
        openRing: () throws(SendRing.Obstacle) -> SendRing, onFailure: @escaping @Sendable (CInt) -> Void
    ) -> any SocketSender {
        switch self {
        case .calls: return CallSender()
        case .ring:
            do throws(SendRing.Obstacle) {
                return RingSender(try openRing(), onFailure: onFailure)
            } catch {
                onFailure(error.code)
                return CallSender()
            }
        }
    }
}
