import Foundation
import Synchronization

/// Threads that do jobs from one queue, each with something of its own that never leaves it.
///
/// A database blocks. Here it blocks a thread that is for nothing else, and neither Swift's few nor an event loop's. The
/// queue has no limit of its own: what waits in it are calls of the store, and those who make them have theirs.
package final class PinnedThreads<Seat>: Sendable {
    package typealias Job = @Sendable (Seat) -> Void

    private struct Queue {
        /// Nil for those that were taken: what a job holds must not live, nor die under the lock, longer than it.
        var jobs: [Job?] = []
        /// The first that nobody has taken; what lies before it is cut off now and then.
        var next = 0
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    /// Counts the jobs that nobody has taken, and one for each thread that is to end.
    private let waiting = DispatchSemaphore(value: 0)
    private let running = DispatchGroup()
    private let count: Int

    /// - Parameter seat: makes what a thread has, on that thread.
    package init(_ name: String, count: Int, seat: @escaping @Sendable () -> Seat) {
        self.count = count
        for _ in 0..<count {
            running.enter()
            Thread.detachNewThread { [self] in
                Self.name(name)
                work(at: seat())
                running.leave()
            }
        }
    }

    /// Does one thing on a thread of its own.
    package static func once<Answer: Sendable>(
        _ name: String, _ body: @escaping @Sendable () throws -> Answer
    ) async throws -> Answer where Seat == Void {
        let thread = PinnedThreads(name, count: 1) {}
        let answer = await withCheckedContinuation { continuation in
            _ = thread.run { continuation.resume(returning: Result { try body() }) }
        }
        await thread.close()
        return try answer.get()
    }

    /// - Returns: false after `close`: the job won't be done.
    package func run(_ job: @escaping Job) -> Bool {
        let isTaken = queue.withLock { queue in
            guard !queue.isClosed else { return false }
            queue.jobs.append(job)
            return true
        }
        if isTaken { waiting.signal() }
        return isTaken
    }

    /// Waits until what was asked for is done, and ends the threads.
    package func close() async {
        end()
        await withCheckedContinuation { continuation in
            running.notify(queue: .global()) { continuation.resume() }
        }
    }

    /// The threads end when what was asked for is done.
    package func end() {
        let wasClosed = queue.withLock { queue in
            defer { queue.isClosed = true }
            return queue.isClosed
        }
        if !wasClosed { for _ in 0..<count { waiting.signal() } }
    }

    /// Names the calling thread for whoever looks at the process. Foundation's thread can't be relied on for that: one that has
    /// just begun may not know yet which it is, and keeps the name of the thread that made it.
    private static func name(_ name: String) {
        #if os(Linux)
        // Of proc_pid_comm(5), which keeps 15 bytes; the call for it, `pthread_setname_np`, isn't in Swift's modules of the C libraries.
        try? name.write(toFile: "/proc/thread-self/comm", atomically: false, encoding: .utf8)
        #endif
    }

    private func work(at seat: Seat) {
        while let job = take() { job(seat) }
    }

    /// Waits for a job; nil when the thread is to end.
    private func take() -> Job? {
        waiting.wait()
        return queue.withLock { queue in
            guard queue.next < queue.jobs.count else { return nil }
            defer {
                queue.next += 1
                if queue.next == queue.jobs.count || queue.next == 1_024 {
                    queue.jobs.removeFirst(queue.next)
                    queue.next = 0
                }
            }
            return queue.jobs[queue.next].take()
        }
    }
}
