import CTipwireSockets
import Foundation
import NIOCore
import Synchronization

/// A thread that waits for the polls of all event loops, and has a loop look when there is something in its own.
///
/// One wait costs a hand-over between two threads. It is for sockets that are hardly ever heard: those of listeners, whose events
/// go out without anybody waiting. When many are heard at once, one hand-over serves all of them: a poll that has told is
/// not waited for until the loop has looked.
public final class PollThread: Sendable {
    private static let stop = UInt64.max

    private let master: CInt
    private let bell: CInt
    /// By their descriptors: has the loop look.
    private let polls = Mutex<[CInt: @Sendable () -> Void]>([:])

    /// - Throws: `IOError` where the process may open no more.
    public init() throws {
        master = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard master >= 0 else { throw IOError(errnoCode: errno, reason: "epoll_create1") }
        bell = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard bell >= 0, Self.control(EPOLL_CTL_ADD, bell, of: master, token: Self.stop) else {
            let code = errno
            if bell >= 0 { close(bell) }
            close(master)
            throw IOError(errnoCode: code, reason: "eventfd")
        }
        let thread = Thread { [self] in run() }
        thread.name = "poll"
        thread.start()
    }

    deinit {
        close(bell)
        close(master)
    }

    /// Waits for a poll from now on; called on its event loop.
    ///
    /// - Throws: `IOError` where the system has no room for it.
    public func add(_ poll: SocketPoll) throws {
        let bound = NIOLoopBound(poll, eventLoop: poll.eventLoop)
        let descriptor = poll.descriptor
        polls.withLock { polls in
            polls[descriptor] = { [weak self] in
                bound.eventLoop.execute { [weak self] in
                    bound.value.look()
                    self?.wait(for: descriptor)
                }
            }
        }
        guard Self.control(EPOLL_CTL_ADD, descriptor, of: master, token: UInt64(descriptor)) else {
            let code = errno
            remove(poll)
            throw IOError(errnoCode: code, reason: "epoll_ctl")
        }
    }

    /// Waits for a poll no more; called on its event loop.
    public func remove(_ poll: SocketPoll) {
        polls.withLock { _ = $0.removeValue(forKey: poll.descriptor) }
        epoll_ctl(master, EPOLL_CTL_DEL, poll.descriptor, nil)
    }

    /// Ends the thread.
    public func end() {
        var one: UInt64 = 1
        write(bell, &one, MemoryLayout.size(ofValue: one))
    }

    private func wait(for descriptor: CInt) {
        // It may have been removed by what was seen in it.
        guard polls.withLock({ $0[descriptor] != nil }) else { return }
        _ = Self.control(EPOLL_CTL_MOD, descriptor, of: master, token: UInt64(descriptor))
    }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            let count = epoll_wait(master, &events, CInt(events.count), -1)
            for event in events.prefix(Int(max(count, 0))) {
                if event.data.u64 == Self.stop { return }
                polls.withLock { $0[CInt(event.data.u64)] }?()
            }
        }
    }

    /// Waits for one event: the next is waited for when this one has been dealt with.
    private static func control(_ operation: CInt, _ descriptor: CInt, of master: CInt, token: UInt64) -> Bool {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | EPOLLONESHOT.rawValue
        event.data.u64 = token
        return epoll_ctl(master, operation, descriptor, &event) == 0
    }
}
