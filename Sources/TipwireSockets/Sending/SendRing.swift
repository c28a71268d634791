import CTipwireSockets
import Foundation
import NIOCore

/// An io_uring that sends, and never waits for a socket.
///
/// Belongs to the thread that made it: the kernel takes submissions from no other.
final class SendRing {
    /// Why there is no ring.
    struct Obstacle: Error, Equatable {
        /// An errno.
        let code: CInt
    }

    let capacity: Int
    private let ring: OpaquePointer

    init(capacity: Int) throws(Obstacle) {
        var ring: OpaquePointer?
        let code = tipwire_ring_open(UInt32(capacity), &ring)
        guard code == 0, let ring else { throw Obstacle(code: code) }
        self.ring = ring
        self.capacity = capacity
    }

    deinit { tipwire_ring_close(ring) }

    /// False if it is full: what waits has to be submitted, and the outcomes taken, first.
    func add(_ bytes: Parcel, to descriptor: NIOBSDSocket.Handle, token: Int) -> Bool {
        tipwire_ring_add(ring, descriptor, bytes.start, bytes.count, UInt64(token))
    }

    /// Returns when every send that was added has its outcome, or throws when some never will: those were not made.
    func submit() throws(Obstacle) {
        let code = tipwire_ring_submit(ring)
        if code != 0 { throw Obstacle(code: code) }
    }

    /// What became of a send: the bytes taken, or a negative errno. Nil when all have been told.
    func takeOutcome() -> (token: Int, outcome: Int)? {
        var token: UInt64 = 0
        var outcome: Int32 = 0
        guard tipwire_ring_take(ring, &token, &outcome) else { return nil }
        return (Int(token), Int(outcome))
    }
}

extension SendRing {
    /// Tries a ring on sockets of its own: one with room, one without, and one that is closed. Each must have the outcome
    /// that the fan-out relies on, and none may make the ring wait.
    ///
    /// - Returns: nil if all is well, else an errno; ENOTSUP for an io_uring that does otherwise than it should.
    static func obstacle() -> CInt? {
        do {
            return try probe() ? nil : ENOTSUP
        } catch {
            return error.code
        }
    }

    private static func probe() throws(Obstacle) -> Bool {
        let ring = try SendRing(capacity: 4)
        var open: [CInt] = [-1, -1]
        var full: [CInt] = [-1, -1]
        let kind = CInt(SOCK_STREAM.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &open) == 0 else { throw Obstacle(code: errno) }
        defer { for descriptor in open { close(descriptor) } }
        guard socketpair(AF_UNIX, kind, 0, &full) == 0 else { throw Obstacle(code: errno) }
        defer { for descriptor in full { close(descriptor) } }
        let bytes = ByteBuffer(repeating: 0x2E, count: 4_096)
        let parcel = Parcel(bytes)
        while send(full[0], parcel.start, parcel.count, SendCall.flags) > 0 {}
        guard ring.add(parcel, to: open[0], token: 0), ring.add(parcel, to: open[0], token: 1),
            ring.add(parcel, to: full[0], token: 2), ring.add(parcel, to: -1, token: 3)
        else { return false }
        try ring.submit()
        var outcomes: [Int: Int] = [:]
        while let (token, outcome) = ring.takeOutcome() { outcomes[token] = outcome }
        withExtendedLifetime(bytes) {}
        return outcomes == [
            0: parcel.count, 1: parcel.count, 2: -Int(EAGAIN), 3: -Int(EBADF),
        ]
    }
}
