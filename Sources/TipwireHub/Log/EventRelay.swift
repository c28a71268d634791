import Logging
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// Carries the log to the fan-out: takes what follows its position, has it encoded once, and hands it over.
///
/// It waits until every shard has taken a batch before it hands over the next one. That is the back-pressure of the whole
/// path (never more than one batch in memory), and what makes a burst cheap: whatever is committed while a fan-out runs
/// goes out together, as one write to each listener.
///
/// It has no task of its own: who tells of a commit while nothing is being fanned out hands its events to the shards, and the
/// last of those to end a fan-out hands them the next. A tip so wakes no thread but those that send it. Only what has to be
/// read, from the log or of the directory, takes a task.
public final class EventRelay: Service {
    /// Most events of one read; what rides along with a wake-up has its own limit.
    static let batchEvents = 512
    /// How often the log is looked at without a wake-up, so that a lost one delays events and never loses them.
    static let pollInterval = Duration.seconds(1)
    /// Between two fan-outs: a loop that was handed one after another would never look at its sockets, which may bring what
    /// could go out with the next.
    static let breath = Duration.microseconds(50)
    /// For company, however long the last fan-out took: a machine that slept in the middle of it says nothing.
    public static let longestWait = Duration.milliseconds(50)

    /// What is to be done next.
    private enum Step {
        case deliver([EncodedEvent], through: Int64, committedAt: ContinuousClock.Instant?)
        /// The log has to be read, or something else that takes a task.
        case read(WakeUp.News)
        case rest
    }

    private struct State {
        /// Everything up to here has been fanned out.
        var relayed: Int64
        /// Of the log that this is a position in.
        var epoch: String
        var company: Company
        /// The log has to be read, whatever is told.
        var mustRead = false
        /// Whether someone sees to it; until `run` nobody does, and nobody may begin.
        var isUnderWay = true
        /// Whether there was a call since that someone has looked.
        var isCalled = false
        /// What is there goes out, and waits for nothing.
        var isEnding = false
        /// Who waits for it to be at rest.
        var rested: CheckedContinuation<Void, Never>?
    }

    private let store: any LogStore
    private let position: LogPosition
    private let readers: WakeUp
    private let wakeUp: WakeUp.Listener
    private let fanout: Fanout
    private let encoder: EventEncoder
    private let expectedCommit: @Sendable () -> Duration?
    private let metrics: HubMetrics
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - expectedCommit: in what time more events will be told of; nil if none are under way.
    ///   - longestWait: for those.
    public init(
        store: any LogStore, position: LogPosition, wakeUp: WakeUp, fanout: Fanout, encoder: EventEncoder,
        expectedCommit: @escaping @Sendable () -> Duration?, longestWait: Duration = longestWait,
        metrics: HubMetrics, logger: Logger
    ) {
        self.store = store
        self.position = position
        readers = wakeUp
        self.wakeUp = wakeUp.listen()
        self.fanout = fanout
        self.encoder = encoder
        self.expectedCommit = expectedCommit
        self.metrics = metrics
        self.logger = logger
        state = Mutex(
            State(relayed: fanout.start, epoch: position.epoch, company: Company(longest: longestWait)))
        self.wakeUp.call { [weak self] in self?.proceedUnlessUnderWay() }
    }

    /// Relays for as long as it runs. When it returns nothing is under way, and nothing begins any more.
    public func run() async throws {
        proceed()
        let poll = Task {
            while (try? await Task.sleep(for: Self.pollInterval)) != nil { wakeUp.signal() }
        }
        try? await gracefulShutdown()
        poll.cancel()
        state.withLock { $0.isEnding = true }
        proceedUnlessUnderWay()
        await withCheckedContinuation { continuation in
            let isAtRest = state.withLock { state in
                if state.isUnderWay {
                    state.rested = continuation
                    return false
                }
                state.isUnderWay = true
                return true
            }
            if isAtRest { continuation.resume() }
        }
    }

    /// There is news.
    private func proceedUnlessUnderWay() {
        let isMine = state.withLock { state in
            state.isCalled = true
            if state.isUnderWay { return false }
            state.isUnderWay = true
            return true
        }
        if isMine { proceed() }
    }

    /// Takes the next step. By whom it is under way: nobody else does meanwhile.
    private func proceed() {
        while true {
            switch next() {
            case .deliver(let events, let through, let committedAt):
                return deliver(events, through: through, committedAt: committedAt)
            case .read(let news):
                Task { await read(news) }
                return
            case .rest:
                let (isAtRest, rested) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
                    if state.isCalled { return (false, nil) }
                    // Who waits for the end has it, and keeps it.
                    state.isUnderWay = state.rested != nil
                    return (true, state.rested.take())
                }
                rested?.resume()
                if isAtRest { return }
            }
        }
    }

    /// Commits hand their events along. They serve while they follow on without a hole; the rest is in the log. What was told
    /// whole is all there is, and whatever comes next has a signal of its own: to read here each time would cost a commit one
    /// read more, and each node one for every commit of all others.
    private func next() -> Step {
        let (relayed, isOfThisLog, advice) = state.withLock { state in
            state.isCalled = false
            return (
                state.relayed, state.epoch == position.epoch,
                state.mustRead || state.isEnding ? .goAlone : state.company.advice(for: expectedCommit())
            )
        }
        if case .wait(let limit) = advice {
            if let limit { fanout.call(in: limit) { [weak self] in self?.proceedUnlessUnderWay() } }
            return .rest
        }
        let news = wakeUp.takeNews(after: relayed)
        guard isOfThisLog else { return .read(news) }
        guard let last = news.events.last else {
            return !news.isWhole || state.withLock(\.mustRead) ? .read(news) : .rest
        }
        if !news.isWhole { state.withLock { $0.mustRead = true } }
        guard let events = encoder.encodeIfKnown(news.events) else { return .read(news) }
        return .deliver(events, through: last.sequence, committedAt: news.oldestCommit)
    }

    private func deliver(
        _ events: [EncodedEvent], through: Int64, committedAt: ContinuousClock.Instant?
    ) {
        let began = ContinuousClock.now
        fanout.deliver(events, through: through, committedAt: committedAt) {
            let duration = began.duration(to: .now)
            let isCalled = self.state.withLock { state in
                state.company.fannedOut(in: duration)
                state.relayed = through
                return state.isCalled
            }
            if isCalled { self.fanout.call(in: Self.breath) { self.proceed() } } else { self.proceed() }
        }
    }

    // MARK: In a task

    private func read(_ news: WakeUp.News) async {
        do {
            if try await readAndDeliver(news) { return }
        } catch {
            // Nothing is lost: the position stands, and the next signal, at most a second away, reads again.
            state.withLock { $0.mustRead = false }
            logger.error("the log can't be read; listeners wait", metadata: ["error": "\(error)"])
        }
        proceed()
    }

    /// - Returns: whether a fan-out has begun, whose end goes on.
    private func readAndDeliver(_ news: WakeUp.News) async throws -> Bool {
        if state.withLock({ $0.epoch }) != position.epoch {
            let bounds = position.bounds
            await fanout.restart(after: bounds.head)
            state.withLock { ($0.relayed, $0.epoch, $0.mustRead) = (bounds.head, bounds.epoch, true) }
            return false
        }
        let relayed = state.withLock(\.relayed)
        var batch = (events: news.events, through: news.events.last?.sequence ?? relayed)
        if batch.events.isEmpty {
            state.withLock { $0.mustRead = false }
            batch = try await slice(after: relayed)
            if batch.through == relayed { return false }
            if batch.through < position.bounds.head { state.withLock { $0.mustRead = true } }
        }
        let events = try await encoder.encode(batch.events)
        deliver(events, through: batch.through, committedAt: news.oldestCommit)
        return true
    }

    private func slice(after relayed: Int64) async throws -> (events: [Event], through: Int64) {
        metrics.logReads.add(1)
        let slice = try await store.events(after: relayed, pages: .all, limit: Self.batchEvents)
        let known = position.bounds.head
        position.advance(to: slice.bounds)
        // What is known by a read is no news when its own comes, and nobody is told of it again.
        if slice.bounds.head > known { readers.nudge() }
        if slice.bounds.prunedThrough > relayed {
            // Retention took what was not given out yet. Listeners are cut rather than left with a hole they can't see; they
            // come back with their cursors and are told of the gap.
            logger.error("retention removed events before they were delivered; retention.bytes is too small")
            await fanout.cutAll(because: "the log no longer holds what is missing")
        }
        return (slice.events, slice.through)
    }
}

/// Whether what is there to be fanned out waits for what is being committed.
///
/// A burst of tips isn't always one commit: where a processor is free the first tip begins one at once, and the others share the
/// next. Fanned out by itself it would cost every listener a write more, and the others would wait until it has gone out. So where a fan-out takes
/// longer than a commit, it waits while tips are on their way, but no longer than the fan-out itself would take.
struct Company {
    enum Advice: Equatable {
        case goAlone
        /// Until there is news, or until `limit` is over; nil for who has that limit from before.
        case wait(limit: Duration?)
    }

    private let longest: Duration
    /// How long the last fan-out took.
    private var lastFanout = Duration.zero
    private var since: ContinuousClock.Instant?

    /// - Parameter longest: the longest wait, however long a fan-out took.
    init(longest: Duration) { self.longest = longest }

    mutating func fannedOut(in time: Duration) { lastFanout = min(time, longest) }

    /// - Parameter commit: in what time more will be there; nil if nothing is on its way.
    mutating func advice(for commit: Duration?, at now: ContinuousClock.Instant = .now) -> Advice {
        guard let commit, now - (since ?? now) + commit < lastFanout else {
            since = nil
            return .goAlone
        }
        guard since == nil else { return .wait(limit: nil) }
        since = now
        return .wait(limit: lastFanout)
    }
}
