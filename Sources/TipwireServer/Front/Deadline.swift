import NIOCore

/// The time by which something must have happened on a connection; there is one at a time.
///
/// It is set several times in each request, and to schedule a task costs more than all else there. So one task serves all of them: it is
/// scheduled anew only when it runs before its time, or when a time ends sooner.
///
/// Belongs to its event loop, and keeps what `passed` keeps until it is cancelled.
final class Deadline {
    private let eventLoop: any EventLoop
    private var passed: (() -> Void)?
    private var due = NIODeadline.distantFuture
    private var task: Scheduled<Void>?
    private var taskDue = NIODeadline.distantFuture

    /// - Parameter passed: called when a time has passed that was not set anew.
    init(on eventLoop: any EventLoop, passed: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.passed = passed
    }

    /// Sets the time, or that there is none.
    func set(within limit: TimeAmount?) {
        due = limit.map { eventLoop.now + $0 } ?? .distantFuture
        guard limit != nil, task == nil || due < taskDue else { return }
        task?.cancel()
        schedule()
    }

    /// Ends it for good.
    func cancel() {
        task?.cancel()
        task = nil
        passed = nil
    }

    private func schedule() {
        guard passed != nil else { return }
        taskDue = due
        task = eventLoop.assumeIsolated().scheduleTask(deadline: due) { self.run() }
    }

    private func run() {
        task = nil
        guard due != .distantFuture else { return }
        if due <= eventLoop.now { passed?() } else { schedule() }
    }
}
