import Foundation
import Synchronization

/// Ends connections whose server has stopped to answer.
///
/// A host that is gone is noticed by TCP. A server that stands still, with a kernel that goes on acknowledging, is noticed by
/// nobody: a statement would wait for ever, with everyone behind it. Cut off, its call fails like that on any broken connection.
final class StallWatch: Sendable {
    /// A connection's place: what it is waiting for, if it is.
    final class Mark: Sendable {
        private struct Wait {
            let descriptor: CInt
            let since: ContinuousClock.Instant
        }

        private let wait = Mutex<Wait?>(nil)
        private let limit: Duration

        init(limit: Duration) { self.limit = limit }

        func begin(_ descriptor: CInt) { wait.withLock { $0 = Wait(descriptor: descriptor, since: .now) } }

        func end() { wait.withLock { $0 = nil } }

        /// Cuts a wait that has lasted for its limit, or for `less`.
        fileprivate func look(less: Duration?) {
            // Under the lock: the descriptor is this connection's until `end`, and may be anyone's afterwards.
            wait.withLock { wait in
                guard let known = wait, known.since.duration(to: .now) >= min(limit, less ?? limit) else { return }
                shutdown(known.descriptor, CInt(SHUT_RDWR))
                wait = nil
            }
        }
    }

    private let marks: [Mark]
    /// Safe from any thread, as all of Dispatch; only its type doesn't say so.
    nonisolated(unsafe) private let timer: any DispatchSourceTimer
    private let isClosing = Atomic(false)

    /// How long anything may take once the store is being closed.
    private static let patience = Duration.seconds(2)

    init(_ marks: [Mark]) {
        self.marks = marks
        timer = DispatchSource.makeTimerSource()
        timer.schedule(deadline: .now() + 1, repeating: 1)
        timer.setEventHandler { [weak self] in self?.look() }
        timer.resume()
    }

    private func look() {
        let less = isClosing.load(ordering: .relaxed) ? Self.patience : nil
        for mark in marks { mark.look(less: less) }
    }

    /// From here on nobody is waited for long.
    func hasten() { isClosing.store(true, ordering: .relaxed) }

    var isHastened: Bool { isClosing.load(ordering: .relaxed) }

    func stop() { timer.cancel() }
}
