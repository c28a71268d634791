import Foundation
import Synchronization
import TipwireStore

/// Threads with a connection each, which take jobs from one queue in the order in which they came.
///
/// libpq blocks, and has to: neither an event loop nor Swift's own few threads may wait for a database.
final class ConnectionPool: Sendable {
    /// What runs on a thread of the pool, with its connection.
    typealias Job = @Sendable (Session) -> Void

    /// A thread's connection, made when it is needed, and made anew after it broke.
    final class Session {
        private let connect: () throws -> PostgresConnection
        private var connection: PostgresConnection?

        fileprivate init(_ connect: @escaping () throws -> PostgresConnection) { self.connect = connect }

        func open() throws -> PostgresConnection {
            if let connection, connection.isOpen { return connection }
            connection = nil
            let made = try connect()
            connection = made
            return made
        }

        /// Gives up what is in an unknown state.
        func drop() { connection = nil }
    }

    private struct State {
        var jobs: [Job] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let waiting = DispatchSemaphore(value: 0)
    private let ended = DispatchGroup()
    private let count: Int

    /// - Parameter connect: makes a connection that is ready for use; called on the pool's threads.
    init(_ name: String, count: Int, connect: @escaping @Sendable () throws -> PostgresConnection) {
        self.count = count
        for number in 1...count {
            ended.enter()
            let thread = Thread { [self] in
                work(Session(connect))
                ended.leave()
            }
            thread.name = "\(name) \(number)"
            thread.start()
        }
    }

    /// Runs a job when its turn comes; false when the pool is closed.
    func run(_ job: @escaping Job) -> Bool {
        let isTaken = state.withLock { state in
            if state.isClosed { return false }
            state.jobs.append(job)
            return true
        }
        if isTaken { waiting.signal() }
        return isTaken
    }

    /// Takes no more jobs; returns when those it has are done and its connections closed.
    func close() async {
        state.withLock { $0.isClosed = true }
        for _ in 0..<count { waiting.signal() }
        await withCheckedContinuation { continuation in
            ended.notify(queue: .global()) { continuation.resume() }
        }
    }

    private func work(_ session: Session) {
        while true {
            waiting.wait()
            let (job, isOver) = state.withLock { state in
                (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isClosed)
            }
            if let job { job(session) } else if isOver { return }
        }
    }
}
