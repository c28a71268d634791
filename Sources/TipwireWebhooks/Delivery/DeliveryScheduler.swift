import Synchronization
import TipwireCore
import TipwireStore

/// Decides which attempt begins when, over all endpoints.
///
/// Each endpoint has a queue of its own (`EndpointQueue`), so that a slow one costs the others nothing. Across them there is
/// one bound, on attempts at a time: endpoints that find no room wait in a line, and an endpoint that fails is down to two
/// places at most.
final class DeliveryScheduler: Sendable {
    struct Limits: Hashable, Sendable {
        var endpoint = EndpointQueue.Limits()
        /// Attempts at a time. Each has a socket.
        var attempts = 1_000
    }

    struct Work: Sendable {
        let webhook: WebhookNumber
        let step: EndpointQueue.Step
        /// Tells what was removed and added again from what it was before.
        fileprivate let life: Int
    }

    /// A time through which this process sends.
    struct Term: Sendable {
        /// What is to be done, each piece at once. Not bounded by itself: there is never more in it than attempts have room and
        /// endpoints have loads, of which each has one of a kind.
        let steps: AsyncStream<Work>
        /// One element when the term is over: what attempts under way get from then on, in milliseconds.
        let end: AsyncStream<Int64>
    }

    private struct Sending {
        let work: AsyncStream<Work>.Continuation
        let end: AsyncStream<Int64>.Continuation
    }

    private struct State {
        /// Nil while this process rests: nobody is to be sent to by it.
        var sending: Sending?
        var endpoints: [WebhookNumber: EndpointQueue] = [:]
        var lives: [WebhookNumber: Int] = [:]
        /// Attempts under way of endpoints that were removed. They keep their places, and if the endpoint comes back it waits
        /// for them.
        var leaving: [WebhookNumber: Set<DeliveryID>] = [:]
        var lastLife = 0
        var alarms: [WebhookNumber: Timestamp] = [:]
        var running = 0
        /// Endpoints that wait for room, each once.
        var line: [WebhookNumber] = []
        var isInLine: Set<WebhookNumber> = []
        var isStopped = false
    }

    let limits: Limits
    private let clock: any DeliveryClock
    private let state = Mutex(State())
    private let term: AsyncStream<Term>.Continuation
    private let alarm: AsyncStream<Void>.Continuation
    /// One after another, each to be worked through to its end before the next.
    let terms: AsyncStream<Term>
    /// One element stands for any number of changes of the earliest alarm.
    let alarms: AsyncStream<Void>

    init(limits: Limits, clock: any DeliveryClock) {
        self.limits = limits
        self.clock = clock
        (terms, term) = AsyncStream.makeStream()
        (alarms, alarm) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Terms

    var isSending: Bool { state.withLock { $0.sending != nil } }

    /// Whether there is anyone to send to.
    var hasEndpoints: Bool { state.withLock { !$0.endpoints.isEmpty } }

    /// This process sends from here on, to the endpoints that are added from here on.
    @discardableResult
    func begin() -> Term {
        let (steps, work) = AsyncStream<Work>.makeStream()
        let (ending, end) = AsyncStream<Int64>.makeStream()
        state.withLock { state in
            precondition(state.sending == nil, "a term begins when the one before is over")
            state.sending = Sending(work: work, end: end)
        }
        let begun = Term(steps: steps, end: ending)
        term.yield(begun)
        return begun
    }

    /// Lets go of all endpoints, and begins nothing more until the next term.
    ///
    /// - Parameter grace: what attempts under way get, in milliseconds, before they are cut off.
    func rest(grace: Int64) {
        state.withLock { state in
            guard let sending = state.sending else { return }
            for (webhook, endpoint) in state.endpoints where endpoint.running > 0 {
                state.leaving[webhook] = endpoint.underWay
            }
            state.endpoints = [:]
            state.lives = [:]
            state.alarms = [:]
            state.line = []
            state.isInLine = []
            state.sending = nil
            sending.work.finish()
            sending.end.yield(grace)
            sending.end.finish()
        }
    }

    // MARK: Endpoints

    /// Has no effect while this process rests.
    func add(_ webhook: WebhookNumber, backlog: WebhookBacklog, failingSince: Timestamp? = nil) {
        state.withLock { state in
            guard state.sending != nil else { return }
            state.endpoints[webhook] = EndpointQueue(
                backlog: backlog, failingSince: failingSince, limits: limits.endpoint,
                inherited: state.leaving.removeValue(forKey: webhook) ?? [])
            state.lastLife += 1
            state.lives[webhook] = state.lastLife
            proceed(webhook, &state)
        }
    }

    /// Begins nothing more for it. Attempts under way end as they will.
    ///
    /// - Returns: since when it has only failed.
    @discardableResult
    func remove(_ webhook: WebhookNumber) -> Timestamp? {
        state.withLock { state in
            guard let endpoint = state.endpoints.removeValue(forKey: webhook) else { return nil }
            state.alarms[webhook] = nil
            state.lives[webhook] = nil
            if endpoint.running > 0 { state.leaving[webhook] = endpoint.underWay }
            return endpoint.health.failingSince
        }
    }

    /// No new work from now on, for good. What the term has ends it.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.sending?.work.finish()
        }
        term.finish()
        alarm.finish()
    }

    // MARK: News

    func offer(_ deliveries: [DeliveryID]) {
        state.withLock { state in
            for id in deliveries {
                state.endpoints[id.webhook]?.offer(first: id)
                proceed(id.webhook, &state)
            }
        }
    }

    /// Deliveries are pending no more: they had to make room.
    ///
    /// - Returns: those among them whose attempts are under way.
    func displace(_ ids: [DeliveryID]) -> Set<DeliveryID> {
        guard !ids.isEmpty else { return [] }
        return state.withLock { state in
            var running: Set<DeliveryID> = []
            for (webhook, ids) in Dictionary(grouping: ids, by: \.webhook) {
                guard state.endpoints[webhook] != nil else { continue }
                running.formUnion(state.endpoints[webhook]!.displace(Set(ids)))
                proceed(webhook, &state)
            }
            return running
        }
    }

    func loaded(firsts: [DeliveryID], limit: Int, by work: Work) {
        change(work.webhook, life: work.life) { $0.loaded(firsts: firsts, limit: limit) }
    }

    func loaded(retries: [EndpointQueue.Retry], limit: Int, by work: Work) {
        change(work.webhook, life: work.life) { $0.loaded(retries: retries, limit: limit) }
    }

    /// It is loaded again by the next step.
    func loadFailed(by work: Work) {
        change(work.webhook, life: work.life) { endpoint in
            switch work.step {
            case .loadFirsts: endpoint.loadOfFirstsFailed()
            case .loadRetries: endpoint.loadOfRetriesFailed()
            case .attempt: break
            }
        }
    }

    func refresh(_ webhook: WebhookNumber) {
        let now = clock.now()
        change(webhook) { $0.refresh(at: now) }
    }

    /// Somebody asks for attempts, and did so elsewhere: what they are is in the store.
    func reload(_ webhook: WebhookNumber) {
        let now = clock.now()
        change(webhook) { endpoint in
            endpoint.endPause(at: now)
            endpoint.reloadFirsts()
            endpoint.reloadRetries(at: now)
        }
    }

    func reloadRetries(of webhook: WebhookNumber) {
        let now = clock.now()
        change(webhook) { $0.reloadRetries(at: now) }
    }

    /// See `EndpointQueue.endPause`.
    func endPause(of webhook: WebhookNumber) {
        let now = clock.now()
        change(webhook) { $0.endPause(at: now) }
    }

    /// See `EndpointQueue.judge`; nil too when the endpoint is gone.
    func judge(_ outcome: AttemptOutcome, of webhook: WebhookNumber) -> EndpointStanding? {
        let now = clock.now()
        return state.withLock { $0.endpoints[webhook]?.judge(outcome, at: now) }
    }

    func ended(_ id: DeliveryID, wasMade: Bool, next retry: Timestamp?) {
        let now = clock.now()
        state.withLock { state in
            guard let before = state.endpoints[id.webhook]?.running else {
                guard state.leaving[id.webhook]?.remove(id) != nil else { return }
                if state.leaving[id.webhook]?.isEmpty == true { state.leaving[id.webhook] = nil }
                state.running -= 1
                return admitFromLine(&state)
            }
            state.endpoints[id.webhook]!.ended(id, wasMade: wasMade, next: retry, at: now)
            state.running -= before - state.endpoints[id.webhook]!.running
            // Who has waited for room comes before who has just had some.
            admitFromLine(&state)
            proceed(id.webhook, &state)
        }
    }

    /// Does what is due; returns when to look again.
    func tick(at now: Timestamp) -> Timestamp? {
        state.withLock { state in
            for (webhook, time) in state.alarms where time <= now { proceed(webhook, &state) }
            return state.alarms.values.min()
        }
    }

    // MARK: Reading

    /// What of an endpoint can be shown.
    struct Reading: Sendable {
        let health: EndpointHealth
        let pausedUntil: Timestamp?
        let nextRetry: Timestamp?
    }

    func reading(of webhook: WebhookNumber) -> Reading? {
        state.withLock { state in
            state.endpoints[webhook].map {
                Reading(health: $0.health, pausedUntil: $0.pausedUntil, nextRetry: $0.nextRetry)
            }
        }
    }

    var running: Int { state.withLock(\.running) }

    /// Attempts under way of one webhook.
    func running(of webhook: WebhookNumber) -> Int {
        state.withLock { $0.endpoints[webhook]?.running ?? $0.leaving[webhook]?.count ?? 0 }
    }

    var pausedCount: Int { state.withLock { state in state.endpoints.values.count { $0.isPaused } } }

    // MARK: Steps

    /// - Parameter life: of whom it is news; nil: of whoever is there.
    private func change(_ webhook: WebhookNumber, life: Int? = nil, _ change: (inout EndpointQueue) -> Void) {
        state.withLock { state in
            guard state.endpoints[webhook] != nil, life == nil || life == state.lives[webhook] else { return }
            change(&state.endpoints[webhook]!)
            proceed(webhook, &state)
        }
    }

    /// Begins all that can begin for one endpoint now.
    private func proceed(_ webhook: WebhookNumber, _ state: inout State) {
        guard !state.isStopped, let sending = state.sending, state.endpoints[webhook] != nil else { return }
        let now = clock.now()
        while let step = state.endpoints[webhook]!.next(at: now, hasRoom: state.running < limits.attempts) {
            if case .attempt = step { state.running += 1 }
            sending.work.yield(Work(webhook: webhook, step: step, life: state.lives[webhook] ?? 0))
        }
        if state.running >= limits.attempts, state.endpoints[webhook]!.wantsRoom(at: now),
            state.isInLine.insert(webhook).inserted
        {
            state.line.append(webhook)
        }
        let earlier = state.alarms[webhook]
        let next = state.endpoints[webhook]!.alarm(at: now)
        state.alarms[webhook] = next
        if let next, earlier.map({ next < $0 }) ?? true { alarm.yield() }
    }

    private func admitFromLine(_ state: inout State) {
        while state.running < limits.attempts, !state.line.isEmpty {
            let webhook = state.line.removeFirst()
            state.isInLine.remove(webhook)
            proceed(webhook, &state)
        }
    }
}
