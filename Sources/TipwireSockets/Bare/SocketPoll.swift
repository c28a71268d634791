import CTipwireSockets
import Glibc
import NIOCore

/// The sockets that one event loop looks after itself, beside NIO's channels: an epoll of their own (epoll(7)).
///
/// NIO's loop waits for its channels alone and can't be given another descriptor. So a `PollThread` waits for this epoll, and
/// when there is something in it the loop is asked to `look`.
///
/// Belongs to its event loop, but for being made.
public final class SocketPoll {
    /// What the kernel tells of a socket.
    public struct Readiness: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// There is something to read, or somebody to accept.
        public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
        /// There is room again.
        public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
        /// The peer sends no more (`EPOLLRDHUP`), nobody sends any more (`EPOLLHUP`), or the connection is broken (`EPOLLERR`).
        /// Reading tells which, behind what came before.
        public static let ending = Readiness(rawValue: EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue)
    }

    /// Sockets of one look. What else there is waits until the loop has seen to everybody else.
    static let batch = 128
    /// Bytes that are read of one socket in one turn of the loop. Who says more waits for the others: this may be a thousand frames.
    static let readBytes = 4_096

    /// A place of the table, which the kernel names when it tells of a socket. `generation` tells apart those who had the place
    /// one after the other: in a look that has begun there may still be news of one that is gone.
    private struct Slot {
        var generation: UInt32 = 0
        var socket: PolledSocket?
    }

    public let eventLoop: any EventLoop
    let descriptor: CInt
    private var slots: [Slot] = []
    private var free: [Int32] = []
    private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: batch)
    /// Where every socket reads into: what they say is short, and what is kept of it is copied.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: readBytes, alignment: 64)
    /// Those who have said more than is read in one turn. A few who talk without a pause keep nobody else waiting.
    private let unread: Rounds<BareSocket>
    /// Called when the last socket has gone.
    public var emptied: () -> Void = {}

    /// - Throws: `IOError` where the process may open no more.
    public init(eventLoop: any EventLoop) throws {
        self.eventLoop = eventLoop
        unread = Rounds(eventLoop: eventLoop) { $0.readOn() }
        descriptor = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "epoll_create1") }
    }

    deinit {
        Glibc.close(descriptor)
        events.deallocate()
        scratch.deallocate()
    }

    public var count: Int { slots.count - free.count }

    /// All sockets that are here now.
    public var sockets: [PolledSocket] { slots.compactMap(\.socket) }

    /// Tells each socket of which there is something what it is. Called on the event loop, by itself.
    public func look() {
        let count = epoll_wait(descriptor, events, CInt(Self.batch), 0)
        guard count > 0 else { return }
        for event in UnsafeBufferPointer(start: events, count: Int(count)) {
            tell(event.data.u64, Readiness(rawValue: event.events))
        }
    }

    /// A call of its own for each, never inlined: sockets come and go in the middle of a look, and the optimizer (Swift 6.3) reads the
    /// place of the table once for the whole loop, where it grows meanwhile.
    @inline(never)
    private func tell(_ token: UInt64, _ readiness: Readiness) {
        let slot = slots[Int(token & 0xFFFF_FFFF)]
        if slot.generation == UInt32(token >> 32) { slot.socket?.ready(readiness) }
    }

    // MARK: For sockets

    /// Has a socket read on when its turn comes.
    func readLater(_ socket: BareSocket) { unread.append(socket) }

    /// Edges rather than levels: a socket is told once, of everything, and the kernel never has to be told what one waits for
    /// at the moment. Whoever is told reads until there is nothing more.
    func add(_ socket: PolledSocket, _ descriptor: NIOBSDSocket.Handle) throws -> Int32 {
        if free.isEmpty {
            free.append(Int32(slots.count))
            slots.append(Slot())
        }
        let place = free.removeLast()
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        event.data.u64 = UInt64(slots[Int(place)].generation) << 32 | UInt64(place)
        guard epoll_ctl(self.descriptor, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            free.append(place)
            throw IOError(errnoCode: errno, reason: "epoll_ctl")
        }
        slots[Int(place)].socket = socket
        return place
    }

    /// What the kernel tells of this place from now on is told to `socket`.
    func replace(_ place: Int32, by socket: PolledSocket) { slots[Int(place)].socket = socket }

    /// The descriptor may be closed, or given away, after this.
    func remove(_ place: Int32, _ descriptor: NIOBSDSocket.Handle) {
        epoll_ctl(self.descriptor, EPOLL_CTL_DEL, descriptor, nil)
        slots[Int(place)].generation &+= 1
        slots[Int(place)].socket = nil
        free.append(place)
        if count == 0 { emptied() }
    }
}
