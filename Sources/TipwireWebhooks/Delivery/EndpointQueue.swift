import TipwireCore
import TipwireStore

/// What waits for one endpoint, what is under way to it, and what is to be done next.
///
/// A pure value: news come in, steps go out. First attempts are one at a time and in order; retries run beside them. Of
/// either it holds only the next few, so that a hundred thousand that wait take no more memory than a handful: the store
/// has the rest, and it knows whether there is one.
struct EndpointQueue {
    struct Limits: Hashable, Sendable {
        /// Attempts at a time: one first attempt, and retries.
        var concurrent = 8
        /// First attempts, and retries, that are held in memory.
        var held = 64
    }

    struct Retry: Hashable, Sendable {
        let id: DeliveryID
        let due: Timestamp
    }

    enum Step: Sendable {
        /// Ends in `ended`.
        case attempt(DeliveryID, isFirst: Bool)
        /// Ends in `loaded(firsts:)`.
        case loadFirsts(after: DeliveryID?)
        /// Ends in `loaded(retries:)`.
        case loadRetries
    }

    private let limits: Limits
    private var breaker: CircuitBreaker
    private(set) var health: EndpointHealth

    private var firsts: [DeliveryID] = []
    /// The last that was ever put into `firsts`: the store is asked for those behind it.
    private var lastFirst: DeliveryID?
    /// The store has some that `firsts` hasn't.
    private var hasMoreFirsts: Bool
    private var isLoadingFirsts = false
    /// One came while others were being loaded, and may be missing in what comes.
    private var missedFirst = false
    private var runningFirst: DeliveryID?
    /// What is being loaded isn't all that is asked for any more.
    private var isFirstsLoadStale = false
    /// First attempts that ended while others were being loaded, among which they may still be.
    private var endedFirsts: Set<DeliveryID> = []
    /// The last that had to make room for others.
    private var displacedThrough: DeliveryID?

    /// The earliest first.
    private var retries: [Retry] = []
    /// What the store has beyond `retries` is due then or later; nil: it has no more.
    private var horizon: Timestamp?
    private var isLoadingRetries = false
    /// The same of what wasn't held while others were being loaded, and may be missing in what comes.
    private var missedFrom: Timestamp?
    private var runningRetries: Set<DeliveryID> = []
    /// Under way since before this endpoint was removed and added again. Nothing begins beside them: it would be the same
    /// deliveries once more.
    private var inherited: Set<DeliveryID>

    /// Under way when deliveries were put back to the beginning by hand, perhaps these too: loads pass them over, so the
    /// store is to be asked once more when they have ended.
    private var revived: Set<DeliveryID> = []

    init(
        backlog: WebhookBacklog, failingSince: Timestamp?, limits: Limits, inherited: Set<DeliveryID> = [],
        breaker: CircuitBreaker = CircuitBreaker()
    ) {
        self.limits = limits
        self.inherited = inherited
        self.breaker = breaker
        health = EndpointHealth(failingSince: failingSince)
        hasMoreFirsts = backlog.firsts > 0
        horizon = backlog.earliestRetry
    }

    /// Attempts under way, of whoever's.
    var underWay: Set<DeliveryID> { inherited.union(runningRetries).union(runningFirst.map { [$0] } ?? []) }
    var running: Int { inherited.count + runningRetries.count + (runningFirst == nil ? 0 : 1) }
    var isPaused: Bool { breaker.isOpen }
    var pausedUntil: Timestamp? { breaker.pausedUntil }
    /// When the earliest retry is due.
    var nextRetry: Timestamp? { retries.first?.due ?? horizon }

    // MARK: News

    /// A delivery was made.
    mutating func offer(first id: DeliveryID) {
        if isLoadingFirsts { missedFirst = true }
        guard !hasMoreFirsts, firsts.count < limits.held else {
            hasMoreFirsts = true
            return
        }
        // A load that was slower than its news has brought it already.
        if let lastFirst, id <= lastFirst { return }
        firsts.append(id)
        lastFirst = id
    }

    mutating func loaded(firsts ids: [DeliveryID], limit: Int) {
        isLoadingFirsts = false
        defer { endedFirsts = [] }
        guard !isFirstsLoadStale else { return isFirstsLoadStale = false }
        let passed = underWay.union(endedFirsts).union(firsts)
        for id in ids where lastFirst.map({ $0 < id }) ?? true && !isDisplaced(first: id) {
            lastFirst = id
            if !passed.contains(id) { firsts.append(id) }
        }
        hasMoreFirsts = ids.count == limit || missedFirst
        missedFirst = false
    }

    /// Deliveries were made by others, perhaps ahead of what is held: the store is asked for all.
    mutating func reloadFirsts() {
        firsts = []
        lastFirst = nil
        hasMoreFirsts = true
        isFirstsLoadStale = isLoadingFirsts
    }

    /// A delivery is to be tried again.
    mutating func offer(retry: Retry) {
        // A load that was faster than its news has brought it already, perhaps from before its last attempt.
        retries.removeAll { $0.id == retry.id }
        // The store has it in its place among those that aren't held.
        if let horizon, horizon < retry.due { return miss(from: retry.due) }
        insert(retry)
        trim()
    }

    private mutating func insert(_ retry: Retry) {
        let index = retries.firstIndex { $0.due > retry.due } ?? retries.endIndex
        retries.insert(retry, at: index)
    }

    /// Leaves what is too many to the store.
    private mutating func trim() {
        guard retries.count > limits.held else { return }
        let due = retries[limits.held].due
        retries.removeLast(retries.count - limits.held)
        horizon = min(horizon ?? due, due)
        miss(from: due)
    }

    private mutating func miss(from due: Timestamp) {
        if isLoadingRetries { missedFrom = min(missedFrom ?? due, due) }
    }

    mutating func loaded(retries loaded: [Retry], limit: Int) {
        isLoadingRetries = false
        let known = Set(retries.map(\.id)).union(underWay)
        for retry in loaded where !known.contains(retry.id) { insert(retry) }
        horizon = loaded.count == limit ? loaded.last?.due : nil
        if let missedFrom { horizon = min(horizon ?? missedFrom, missedFrom) }
        missedFrom = nil
        // Ahead of these there may be others that aren't held.
        if let horizon { retries.removeAll { $0.due > horizon } }
        trim()
    }

    /// Deliveries were put back to the beginning by hand: what is held may be out of date.
    mutating func reloadRetries(at now: Timestamp) {
        revived = underWay
        leaveToStore(from: min(now, retries.first?.due ?? now))
        retries = []
    }

    /// The store may have some that are due at `due`, and are to come before all that is held for later.
    private mutating func leaveToStore(from due: Timestamp) {
        horizon = min(horizon ?? due, due)
        retries.removeAll { $0.due > due }
        miss(from: due)
    }

    /// What is held is news, and the store the truth: now and then it is asked again, whatever is believed of it. What was
    /// lost track of is found then.
    mutating func refresh(at now: Timestamp) {
        if firsts.isEmpty { hasMoreFirsts = true }
        reloadRetries(at: now)
    }

    mutating func loadOfFirstsFailed() {
        isLoadingFirsts = false
        isFirstsLoadStale = false
        endedFirsts = []
        missedFirst = false
    }

    mutating func loadOfRetriesFailed() {
        isLoadingRetries = false
        missedFrom = nil
    }

    /// Deliveries that are pending no more: they had to make room.
    ///
    /// - Returns: those among them whose attempts are under way.
    mutating func displace(_ ids: Set<DeliveryID>) -> Set<DeliveryID> {
        firsts.removeAll { ids.contains($0) }
        retries.removeAll { ids.contains($0.id) }
        if let last = ids.max() { displacedThrough = max(displacedThrough ?? last, last) }
        return ids.intersection(underWay)
    }

    /// Those that make room are the oldest: none before them waits for its first attempt any more, whatever a load brings
    /// that was slower.
    private func isDisplaced(first id: DeliveryID) -> Bool { displacedThrough.map { id <= $0 } ?? false }

    /// What an attempt has shown of the endpoint.
    ///
    /// - Returns: what is to be kept of it; nil when it is what is known already.
    mutating func judge(_ outcome: AttemptOutcome, at now: Timestamp) -> EndpointStanding? {
        let before = health.failingSince
        let isHopeless = health.record(outcome, at: now)
        breaker.record(outcome, at: now)
        let disabled: DisabledReason? = outcome.isGone ? .gone : isHopeless ? .hopeless : nil
        guard health.failingSince != before || disabled != nil else { return nil }
        return EndpointStanding(failingSince: health.failingSince, disabled: disabled)
    }

    /// Somebody asks for an attempt, and not to wait until the endpoint has been left alone long enough.
    mutating func endPause(at now: Timestamp) { breaker.endPause(at: now) }

    /// An attempt is over and kept, or was given up: its place is free.
    ///
    /// - Parameter wasMade: whether `judge` was told how it ended. A first attempt that wasn't, and is to be made, keeps its
    ///   turn.
    mutating func ended(_ id: DeliveryID, wasMade: Bool, next retry: Timestamp?, at now: Timestamp) {
        if inherited.remove(id) != nil {
            if !wasMade { breaker.abandon(at: now) }
            // What it was is the store's to know.
            hasMoreFirsts = true
            leaveToStore(from: now)
            return
        }
        let isFirst = runningFirst == id
        if isFirst { runningFirst = nil } else { runningRetries.remove(id) }
        // One that wasn't made is still to be, and comes back below.
        if isFirst, isLoadingFirsts, wasMade || retry == nil { endedFirsts.insert(id) }
        if !wasMade { breaker.abandon(at: now) }
        if revived.remove(id) != nil { leaveToStore(from: now) }
        guard let retry else { return }
        if !isFirst || wasMade {
            offer(retry: Retry(id: id, due: retry))
        } else if !isDisplaced(first: id) {
            firsts.insert(id, at: 0)
        }
    }

    // MARK: Steps

    /// What is to be done now, until there is none.
    ///
    /// - Parameter hasRoom: whether the server may make another attempt.
    mutating func next(at now: Timestamp, hasRoom: Bool) -> Step? {
        guard inherited.isEmpty else { return nil }
        if firsts.isEmpty, hasMoreFirsts, !isLoadingFirsts {
            isLoadingFirsts = true
            return .loadFirsts(after: lastFirst)
        }
        if retries.isEmpty, horizon != nil, !isLoadingRetries {
            isLoadingRetries = true
            return .loadRetries
        }
        guard hasRoom, running < limits.concurrent else { return nil }
        if runningFirst == nil, let first = firsts.first {
            guard case .admitted = breaker.admit(at: now) else { return nil }
            firsts.removeFirst()
            runningFirst = first
            return .attempt(first, isFirst: true)
        }
        if runningRetries.count < retryLanes, let retry = retries.first, retry.due <= now {
            guard case .admitted = breaker.admit(at: now) else { return nil }
            retries.removeFirst()
            runningRetries.insert(retry.id)
            return .attempt(retry.id, isFirst: false)
        }
        return nil
    }

    /// An endpoint that has just failed gets one retry at a time: one that hangs would otherwise hold as many places as it
    /// may have, of which the server has a number.
    private var retryLanes: Int { breaker.isClear ? limits.concurrent - 1 : 1 }

    /// Whether only the server's room is missing for another attempt.
    func wantsRoom(at now: Timestamp) -> Bool {
        guard inherited.isEmpty, running < limits.concurrent, !isHeld(at: now) else { return false }
        return runningFirst == nil && !firsts.isEmpty
            || runningRetries.count < retryLanes && retries.first.map { $0.due <= now } ?? false
    }

    private func isHeld(at now: Timestamp) -> Bool {
        var breaker = breaker
        return breaker.admit(at: now) != .admitted
    }

    /// When `next` should be asked again although nothing has happened; nil when only news can change something.
    func alarm(at now: Timestamp) -> Timestamp? {
        guard inherited.isEmpty else { return nil }
        var due: Timestamp?
        if runningFirst == nil, !firsts.isEmpty { due = now }
        if runningRetries.count < retryLanes, let retry = retries.first { due = min(due ?? retry.due, retry.due) }
        guard let due else { return nil }
        let alarm = breaker.isOpen ? breaker.pausedUntil.map { max($0, due) } : due
        // What is due already waits for something else: for the server's room, or the end of a probe.
        return alarm.flatMap { $0 > now ? $0 : nil }
    }
}
