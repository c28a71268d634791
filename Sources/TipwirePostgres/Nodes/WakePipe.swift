import Foundation

/// Ends the wait of a thread that watches a descriptor.
final class WakePipe: Sendable {
    private let reading: CInt
    private let writing: CInt

    init() {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { fatalError("no pipe can be made: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reading, writing) = (ends[0], ends[1])
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// For good.
    func signal() {
        var byte: UInt8 = 0
        _ = write(writing, &byte, 1)
    }

    var isSignalled: Bool { wait(beside: -1, milliseconds: 0) }

    /// Waits until there is something to read from `descriptor`, or its other end is gone; true when the end was signalled
    /// instead.
    ///
    /// - Parameter milliseconds: how long; -1 for ever.
    func wait(beside descriptor: CInt, milliseconds: CInt) -> Bool {
        // A negative descriptor is passed over by `poll`.
        var waiting = [
            pollfd(fd: reading, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&waiting, 2, milliseconds)
        return waiting[0].revents != 0
    }
}
