import Glibc
import NIOCore

/// A socket in a `SocketPoll`. What is done about it is its heirs' to know.
open class PolledSocket {
    public let poll: SocketPoll
    private var place: Int32
    /// Negative when it is closed, or another's.
    public private(set) var descriptor: NIOBSDSocket.Handle
    /// Something that lives as long as the socket is open here.
    public var companion: AnyObject?

    /// Takes a descriptor, which must not block, into the poll.
    ///
    /// - Throws: `IOError`; the descriptor is the caller's still.
    public init(_ descriptor: NIOBSDSocket.Handle, in poll: SocketPoll) throws {
        self.poll = poll
        self.descriptor = descriptor
        place = -1
        place = try poll.add(self, descriptor)
    }

    /// Takes the place of another, and all that it has. The kernel notices nothing.
    public init(succeeding other: PolledSocket) {
        poll = other.poll
        place = other.place
        descriptor = other.descriptor
        companion = other.companion
        poll.replace(place, by: self)
        other.descriptor = -1
        other.companion = nil
    }

    /// The kernel has news. Of what has been read already there may be some, too.
    open func ready(_ readiness: SocketPoll.Readiness) {}

    public final var isOpen: Bool { descriptor >= 0 }

    /// What has come and nobody has read.
    public enum Glimpse {
        /// It stays unread, and its copy in place until the loop's next read.
        case bytes(UnsafeRawBufferPointer)
        case nothing
        /// There is an end, or a fault, and nothing before it.
        case end
    }

    /// - Parameter limit: no more bytes are looked at than this.
    public final func peek(_ limit: Int) -> Glimpse {
        let count = recv(descriptor, poll.scratch.baseAddress, min(limit, poll.scratch.count), Self.peeking)
        if count > 0 { return .bytes(UnsafeRawBufferPointer(rebasing: poll.scratch[..<count])) }
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? .nothing : .end
    }

    /// Reads bytes that were looked at.
    ///
    /// - Returns: false if they are gone, and the connection with them.
    public final func skip(_ count: Int) -> Bool {
        recv(descriptor, poll.scratch.baseAddress, count, CInt(MSG_DONTWAIT)) == count
    }

    private static let peeking = CInt(MSG_PEEK) | CInt(MSG_DONTWAIT)

    /// Gives the descriptor to the caller, open, with what is unread in it.
    public final func release() -> NIOBSDSocket.Handle {
        let released = descriptor
        descriptor = -1
        companion = nil
        poll.remove(place, released)
        return released
    }

    /// Closes the descriptor. Bytes that the kernel has taken are still sent.
    public final func closeDescriptor() {
        guard isOpen else { return }
        // Let go of when the number is free, for which it may be the permit.
        let keep = companion
        Glibc.close(release())
        withExtendedLifetime(keep) {}
    }
}
