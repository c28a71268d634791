import Logging
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// The one door into the log.
///
/// Whatever arrives until the thread that writes comes to it is committed together (group commit): one writer, one sync to
/// disk for many callers, each answered after its own commit. What waits is bounded; a full intake refuses at once
/// instead of queueing on.
///
/// It has no task of its own: who brings a tip while nothing is being committed asks for a commit, and the thread that has
/// written one asks for the next. A tip alone is so handed over twice, to the thread that writes and back.
public final class TipIntake: Service {
    /// Most tips of one commit: past this a larger batch gains little and lets its first caller wait longer. A single
    /// command may exceed it, and then has a commit to itself.
    static let commitWeight = 1_024

    /// What a command came to.
    public typealias Outcome = Result<[LogAnswer], any Error>

    private struct Waiting {
        let command: LogCommand
        let answer: @Sendable (Outcome) -> Void
    }

    private struct State {
        var waiting: [Waiting] = []
        var weight = 0
        /// Whether `run` was called; until then what comes waits.
        var isRunning = false
        /// Whether a commit was asked for and isn't over. At its end it asks for the next, if something has come meanwhile.
        var isCommitting = false
        /// What that commit holds and nobody has been told of yet; nothing until it takes it.
        var committing: [Waiting] = []
        /// How long the last one took.
        var lastCommit = Duration.zero
        var isClosed = false
        /// Who waits for the last commit after the end.
        var drained: CheckedContinuation<Void, Never>?
        /// When the last commit failed; nil when it succeeded.
        var failedAt: Timestamp?
        /// With a full disk each tip is a failure.
        var failures = LogThrottle(seconds: 10)

        /// Moves the next commit's commands into it, oldest first.
        mutating func takeBatch() {
            var count = 0
            var weight = 0
            while count < waiting.count {
                let next = waiting[count].command.weight
                if count > 0, weight + next > TipIntake.commitWeight { break }
                count += 1
                weight += next
            }
            committing = Array(waiting[..<count])
            waiting.removeFirst(count)
            self.weight -= weight
        }

        mutating func takeAll() {
            committing = waiting
            waiting = []
            weight = 0
        }
    }

    private let store: any LogStore
    private let position: LogPosition
    private let wakeUp: WakeUp
    private let clock: WallClock
    /// Most tips that may wait for a commit. A tip's size is bounded, so this bounds memory too.
    private let maximumWeight: Int
    private let metrics: HubMetrics
    private let logger: Logger

    private let state = Mutex(State())

    public init(
        store: any LogStore, position: LogPosition, wakeUp: WakeUp, clock: WallClock, maxPending: Int,
        metrics: HubMetrics, logger: Logger
    ) {
        self.store = store
        self.position = position
        self.wakeUp = wakeUp
        self.clock = clock
        self.maximumWeight = maxPending
        self.metrics = metrics
        self.logger = logger
    }

    /// Keeps one command; returns once it is on disk.
    ///
    /// Throws `LogRefusal` when the log has a reason against it and `IntakeRefusal` when it was not looked at. Cancelling
    /// the caller doesn't take a command back: it may have been committed already.
    public func submit(_ command: LogCommand) async throws -> [LogAnswer] {
        try await withCheckedThrowingContinuation { continuation in
            submit(command) { continuation.resume(with: $0) }
        }
    }

    /// The same for who has no task to wait in. `answer` is called once, here or on the thread that writes, which it must not
    /// hold up.
    public func submit(_ command: LogCommand, answer: @escaping @Sendable (Outcome) -> Void) {
        let refusal: IntakeRefusal? = state.withLock { state in
            if state.isClosed { return .closed }
            if state.weight + command.weight > maximumWeight { return .full }
            state.waiting.append(Waiting(command: command, answer: answer))
            state.weight += command.weight
            return nil
        }
        if let refusal {
            metrics.intakeRefused.add(1)
            answer(.failure(refusal))
        } else {
            commitWhatWaits()
        }
    }

    /// How long a failed commit speaks against the next one. After that only another tip can tell.
    static let failureMilliseconds: Int64 = 10_000

    /// Whether a tip that came now would, by all that is known, be kept.
    public var isAccepting: Bool {
        let now = clock.now()
        return state.withLock { state in
            let hasJustFailed = state.failedAt.map { now < $0.advanced(milliseconds: Self.failureMilliseconds) }
            return !state.isClosed && state.weight < maximumWeight && hasJustFailed != true
        }
    }

    /// Tips that wait for their commit.
    public var pending: Int { state.withLock(\.weight) }

    /// When more events will be told of, by what the last commit took; nil if nothing has been taken in that hasn't been told of.
    public var expectedCommit: Duration? {
        state.withLock { $0.committing.isEmpty && $0.waiting.isEmpty ? nil : $0.lastCommit }
    }

    /// Commits for as long as it runs. After a shutdown, or when its task is cancelled, no further command gets in, and those
    /// that did are answered before this returns.
    public func run() async throws {
        state.withLock { $0.isRunning = true }
        commitWhatWaits()
        try? await gracefulShutdown()
        await withCheckedContinuation { continuation in
            let isDrained = state.withLock { state in
                state.isClosed = true
                // Who has just brought something is about to ask for its commit.
                guard state.isCommitting || !state.waiting.isEmpty else { return true }
                state.drained = continuation
                return false
            }
            if isDrained { continuation.resume() }
        }
    }

    /// Asks for a commit if there is something to commit and none on its way.
    private func commitWhatWaits() {
        let isMine = state.withLock { state in
            guard state.isRunning, !state.isCommitting, !state.waiting.isEmpty else { return false }
            state.isCommitting = true
            return true
        }
        if isMine { commit() }
    }

    /// A commit is over, its callers are answered: asks for the next one if something came meanwhile.
    private func commitNext() {
        let (isOver, drained) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.waiting.isEmpty else { return (false, nil) }
            state.isCommitting = false
            return (true, state.drained.take())
        }
        drained?.resume()
        if !isOver { commit() }
    }

    private func commit() {
        let began = ContinuousClock.now
        store.commit(takeBatch) { outcome in
            switch outcome {
            case .success(let commit): self.answer(with: commit, began: began)
            case .failure(let error): self.refuse(because: error)
            }
            self.commitNext()
        }
    }

    private func takeBatch() -> LogBatch {
        let batch = state.withLock { state in
            state.takeBatch()
            return state.committing
        }
        return LogBatch(batch.map(\.command), at: clock.now())
    }

    private func refuse(because error: any Error) {
        metrics.commitFailures.add(1)
        let batch = state.withLock { state in
            // A commit that couldn't begin has taken none. Who waited for it has waited as long as it did: the next one may take as
            // long again, and the one after that.
            if state.committing.isEmpty { state.takeAll() }
            defer { state.committing = [] }
            return state.committing
        }
        // Who waits for news of this commit need not wait any longer.
        wakeUp.nudge()
        tellOfFailure(error, at: clock.now())
        let refusal: IntakeRefusal = error is StoreFull ? .storeFull : .storeFailed
        for waiting in batch { waiting.answer(.failure(refusal)) }
    }

    private func answer(with commit: Commit, began: ContinuousClock.Instant) {
        let committedAt = ContinuousClock.now
        let duration = began.duration(to: committedAt)
        let batch = state.withLock { state in
            state.failedAt = nil
            state.lastCommit = duration
            defer { state.committing = [] }
            return state.committing
        }
        metrics.commitSeconds.observe(duration)
        position.advance(to: commit.bounds)
        // The relay is woken before the callers: their answers and the fan-out then run side by side.
        wakeUp.signal(appended(by: commit), committedAt: committedAt)
        for (waiting, result) in zip(batch, commit.results) {
            if case .success(let answers) = result {
                metrics.countAccepted(answers)
            }
            waiting.answer(result.mapError { $0 })
        }
    }

    private func tellOfFailure(_ error: any Error, at now: Timestamp) {
        let untold = state.withLock { state in
            state.failedAt = now
            return state.failures.admit(at: now)
        }
        guard let untold else { return }
        var metadata: Logger.Metadata = ["error": "\(error)"]
        if untold > 0 { metadata["failed since the last line"] = "\(untold)" }
        logger.error("a commit failed; its callers are refused", metadata: metadata)
    }

    private func appended(by commit: Commit) -> [Event] {
        var events: [Event] = []
        var last = Int64.min
        for case .success(let answers) in commit.results {
            for answer in answers where !answer.isRepeat {
                // A repeat within one command is answered with its first's events; they count once.
                for event in answer.events where event.sequence > last {
                    events.append(event)
                    last = event.sequence
                }
            }
        }
        return events
    }
}

/// Why a command was not taken. It can be sent again as it is.
///
/// Nothing of it was kept, with one exception: after `storeFailed` a command may be found by the next start, if the disk
/// failed in the middle of its commit. Sent again with its id, it is recognised.
public enum IntakeRefusal: Error, Sendable {
    /// `intake.maxPending` tips wait already.
    case full
    /// The server is shutting down.
    case closed
    /// The disk has no room left.
    case storeFull
    /// The store failed; the log says why.
    case storeFailed
}
