import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Webhooks as a whole: the log becomes deliveries, deliveries become attempts, and how each ended is kept.
///
/// All that matters is in the store. What is here can be lost at any moment, and the next start goes on from there: a
/// delivery whose attempt was cut off is attempted again, with the same id.
public final class WebhookEngine: Service {
    public struct Settings: Sendable {
        public var policy = CallbackPolicy()
        public var requiresChallenge = false
        /// How long a secret that was replaced is signed with too, in milliseconds.
        public var secretOverlap: Int64 = 86_400_000
        /// Deliveries of one webhook that may wait.
        public var maxPending = 10_000
        /// Attempts of one webhook at a time.
        public var maxConcurrent = 8
        /// Attempts of all at a time.
        public var maxAttempts = 1_000
        /// Deliveries that have ended and are kept of each webhook, to be looked at and sent again.
        public var maxHistory = 10_000
        public var schedule = RetrySchedule.standard

        public init() {}
    }

    /// What attempts under way get at a shutdown, in milliseconds, before they are cut off and made again after the next
    /// start.
    static let drainLimit: Int64 = 2_000
    /// How often expired keys are looked for, in milliseconds.
    static let accessInterval: Int64 = 1_000
    /// How often ended deliveries are removed, and the store is asked what waits, in milliseconds.
    static let trimInterval: Int64 = 60_000
    /// The shortest time between two looks at what is due, in milliseconds: what is due together begins together.
    static let alarmStep: Int64 = 20
    /// The longest, so that an alarm that was set while it waited for a later one isn't overslept.
    static let alarmPatience: Int64 = 250

    public let subscriptions: WebhookSubscriptions
    public let metrics = WebhookMetrics()
    public let messages: WebhookMessages

    private let settings: Settings
    private let store: any LogStore & WebhookStore
    private let directory: Directory
    let clock: any DeliveryClock
    private let sender: any WebhookSending
    let logger: Logger
    let scheduler: DeliveryScheduler
    let recorder: AttemptRecorder
    let window: EventWindow
    private let dispatcher: WebhookDispatcher
    private let runner: AttemptRunner
    private let maker: WebhookMaker
    let duty: Mutex<Duty>
    let dutyChanges: AsyncStream<Void>
    let dutyChange: AsyncStream<Void>.Continuation

    /// - Parameter isShared: whether other nodes use the same store. Then this one rests until it is told to send.
    public init(
        settings: Settings, store: any LogStore & WebhookStore, directory: Directory, position: LogPosition,
        wakeUp: WakeUp, encoder: EventEncoder, quota: SubscriptionQuota, check: TargetCheck,
        sender: any WebhookSending, clock: any DeliveryClock, isShared: Bool = false, logger: Logger
    ) async throws {
        self.settings = settings
        self.store = store
        self.directory = directory
        self.clock = clock
        self.sender = sender
        self.logger = logger
        var limits = DeliveryScheduler.Limits()
        limits.attempts = settings.maxAttempts
        limits.endpoint.concurrent = settings.maxConcurrent
        scheduler = DeliveryScheduler(limits: limits, clock: clock)
        duty = Mutex(isShared ? .rests : .sends)
        (dutyChanges, dutyChange) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        if !isShared { scheduler.begin() }
        // A commit that is none of their business wakes nobody here.
        let wakeUp = wakeUp.listen { [scheduler] in scheduler.hasEndpoints }
        subscriptions = try await WebhookSubscriptions(
            store: store, directory: directory, position: position, quota: quota, scheduler: scheduler, wakeUp: wakeUp,
            clock: clock, policy: settings.policy, secretOverlap: settings.secretOverlap, isShared: isShared,
            logger: logger)
        window = EventWindow(store: store, encoder: encoder)
        messages = WebhookMessages(window: window, store: store, directory: directory, position: position)
        recorder = AttemptRecorder(
            store: store, health: { [scheduler] in scheduler.reading(of: $0)?.health }, clock: clock, logger: logger)
        var dispatching = WebhookDispatcher.Limits()
        dispatching.pending = settings.maxPending
        dispatcher = WebhookDispatcher(
            store: store, position: position, wakeUp: wakeUp, encoder: encoder, webhooks: subscriptions,
            window: window, scheduler: scheduler, limits: dispatching, metrics: metrics, logger: logger)
        runner = AttemptRunner(
            store: store, sender: sender, recorder: recorder, scheduler: scheduler, messages: messages,
            webhooks: subscriptions, clock: clock, schedule: settings.schedule, metrics: metrics, logger: logger)
        maker = WebhookMaker(
            subscriptions: subscriptions, quota: quota, check: check, policy: settings.policy, sender: sender,
            requiresChallenge: settings.requiresChallenge, clock: clock)
        directory.enforce(with: subscriptions)
        warnOfRefused()
    }

    /// Settings that were changed, or left out of today's command, are noticed at the start and not with the first tip.
    private func warnOfRefused() {
        for webhook in subscriptions.list(where: \.isEnabled) {
            guard let refusal = webhook.refusal else { continue }
            logger.warning(
                "webhook leads where it may not; each of its deliveries will be given up",
                metadata: ["webhook": "\(webhook.id)", "reason": "\(refusal)"])
        }
    }

    // MARK: Service

    public func run() async throws {
        await withTaskGroup(of: Void.self) { background in
            background.addTask { await self.recorder.run() }
            background.addTask { await self.dispatcher.run() }
            background.addTask { await self.watchAlarms() }
            background.addTask { await self.followDuty() }
            background.addTask { await self.every(WebhookDispatcher.pollInterval) { self.dispatcher.wakeUp.signal() } }
            background.addTask { await self.every(Self.accessInterval) { await self.disableUnfounded() } }
            background.addTask { await self.every(Self.trimInterval) { await self.tidy() } }
            await withTaskGroup(of: Void.self) { attempts in
                attempts.addTask { await self.work() }
                try? await gracefulShutdown()
                dispatcher.stop()
                scheduler.stop()
                attempts.addTask { await self.pause(Self.drainLimit) }
                await attempts.next()
                attempts.cancelAll()
                recorder.hurry()
            }
            recorder.stop()
            background.cancelAll()
            logDead()
        }
        await sender.shutdown()
    }

    private func work() async {
        for await term in scheduler.terms { await work(through: term) }
    }

    /// Attempts, and loads of what is to be attempted, each in a task of its own. Returns when the term is over, and what was
    /// under way has ended or had its time.
    private func work(through term: DeliveryScheduler.Term) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { steps in
                    for await work in term.steps { steps.addTask { await self.take(work) } }
                }
            }
            group.addTask { for await grace in term.end { await self.pause(grace) } }
            await group.next()
            group.cancelAll()
        }
    }

    private func take(_ work: DeliveryScheduler.Work) async {
        let limit = scheduler.limits.endpoint.held
        do {
            switch work.step {
            case .attempt(let id, let isFirst):
                await runner.attempt(id, isFirst: isFirst)
            case .loadFirsts(let last):
                let firsts = try await store.firsts(of: work.webhook, after: last, limit: limit)
                scheduler.loaded(firsts: firsts, limit: limit, by: work)
            case .loadRetries:
                let retries = try await store.retries(of: work.webhook, limit: limit)
                scheduler.loaded(
                    retries: retries.map { EndpointQueue.Retry(id: $0.id, due: $0.due) }, limit: limit, by: work)
            }
        } catch {
            logger.error("deliveries of webhooks can't be read; they wait", metadata: ["error": "\(error)"])
            await pause(1_000)
            scheduler.loadFailed(by: work)
        }
    }

    private func watchAlarms() async {
        for await _ in scheduler.alarms {
            var now = clock.now()
            while let next = scheduler.tick(at: now) {
                // From the look on, not from its end: what has come due since is late already.
                let wait = min(max(next.milliseconds - now.milliseconds, Self.alarmStep), Self.alarmPatience)
                guard (try? await clock.sleep(until: now.advanced(milliseconds: wait))) != nil else { return }
                now = clock.now()
            }
        }
    }

    /// Ends early when the task is cancelled.
    func pause(_ milliseconds: Int64) async {
        try? await clock.sleep(milliseconds: milliseconds)
    }

    private func every(_ interval: Int64, _ body: @Sendable () async -> Void) async {
        while (try? await clock.sleep(milliseconds: interval)) != nil { await body() }
    }

    /// One node is enough for it; and one that rests may not know yet what a webhook rests on.
    private func disableUnfounded() async {
        if scheduler.isSending { await subscriptions.disableUnfounded() }
    }

    /// Removes what is too much, of those webhooks alone of which something has ended, and looks again at what waits.
    private func tidy() async {
        guard scheduler.isSending else { return await look() }
        let settled = subscriptions.takeSettled()
        for webhook in subscriptions.list(where: \.isEnabled)
        where subscriptions.pending(of: webhook.number) > 0 || settled.contains(webhook.number) {
            scheduler.refresh(webhook.number)
            try? await subscriptions.turn.take { try await subscriptions.recount(webhook.number) }
        }
        logDead()
        for number in settled {
            do {
                try await subscriptions.trim(number, keeping: settings.maxHistory)
            } catch {
                logger.error("old deliveries were not removed; it is tried again", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension WebhookEngine {
    /// Not a line for each: an endpoint that can't be had gives up as many as there are events.
    private func logDead() {
        for (number, count) in subscriptions.takeDead() {
            guard let webhook = subscriptions[number] else { continue }
            logger.warning(
                "deliveries of a webhook were given up; look at them, and send them again when it is well",
                metadata: ["webhook": "\(webhook.id)", "deliveries": "\(count)"])
        }
    }
}

// MARK: - The door

extension WebhookEngine {
    /// Makes a webhook. Throws `WebhookRefusal`, `SubscriptionQuota.Refusal`, or `DirectoryRefusal.missingReference` when its
    /// page is gone.
    public func create(_ wish: WebhookWish) async throws -> Webhook { try await maker.make(wish) }

    /// What can be shown of a webhook beside what it is.
    public struct Standing: Sendable {
        public let pending: Int
        public let failingSince: Timestamp?
        /// How the last attempt failed; nil too when it was before the last start of the server, or another node sends.
        public let lastFailure: EndpointHealth.Failure?
        /// When the earliest retry is due: now, if it only waits for its turn. Nil too when another node sends.
        public let nextRetry: Timestamp?
        /// Until when nothing is sent, because the last attempts failed. Nil too when another node sends.
        public let pausedUntil: Timestamp?
        /// Until when the secret before is signed with too.
        public let previousSecretEnd: Timestamp?
        /// When this was so.
        public let time: Timestamp
    }

    public func standing(of webhook: Webhook) -> Standing {
        let reading = scheduler.reading(of: webhook.number)
        let now = clock.now()
        return Standing(
            pending: subscriptions.pending(of: webhook.number),
            failingSince: reading.map(\.health.failingSince) ?? webhook.hadFailedSince,
            lastFailure: reading?.health.lastFailure, nextRetry: reading?.nextRetry.map { max($0, now) },
            pausedUntil: reading?.pausedUntil, previousSecretEnd: webhook.secrets.overlapEnd(at: now), time: now)
    }

    /// Deliveries of one webhook that may wait.
    public var maxPending: Int { settings.maxPending }
    /// Attempts of all at a time.
    public var maxAttempts: Int { settings.maxAttempts }

    /// Attempts under way, and endpoints that are left alone for a while.
    public var activity: (running: Int, paused: Int) { (scheduler.running, scheduler.pausedCount) }

    /// The delivery with this message id; nil if there is none.
    public func delivery(_ id: String, of webhook: Webhook) async throws -> DeliveryID? {
        if let sequence = messages.sequence(ofMessage: id) {
            return DeliveryID(webhook: webhook.number, sequence: sequence)
        }
        return try await store.test(id, of: webhook.number)
    }

    /// Tries a delivery again, from the beginning of the schedule; false if there is none.
    public func retry(_ id: DeliveryID) async throws -> Bool {
        try await retry(of: id.webhook) { try await store.retry(id, at: $0) } > 0
    }

    /// The same for many; how many.
    public func retry(_ selection: RetrySelection, of webhook: Webhook) async throws -> Int {
        try await retry(of: webhook.number) { try await store.retry(selection, of: webhook.number, at: $0) }
    }

    /// In turn with what makes others give way: one that was just given up must not be forgotten after it was revived.
    private func retry(
        of webhook: WebhookNumber, _ retry: @Sendable (Timestamp) async throws -> RetriedDeliveries
    ) async throws -> Int {
        try await subscriptions.turn.take {
            try await subscriptions.catchUp()
            let now = clock.now()
            let retried = try await retry(now)
            guard retried.count > 0 else { return 0 }
            subscriptions.asked(of: webhook, at: now)
            try await subscriptions.revived(retried.revived, of: webhook)
            // Whoever asks for an attempt has reason to believe that the endpoint is well again.
            scheduler.endPause(of: webhook)
            scheduler.reloadRetries(of: webhook)
            return retried.count
        }
    }

    /// Makes a delivery of something that never happened, which goes the way of every other. Nil when the webhook, or its
    /// page, is gone.
    public func test(_ webhook: Webhook) async throws -> DeliveryID? {
        let now = clock.now()
        guard let page = directory.look({ $0.page(webhook.subscription.page) }) else { return nil }
        return try await subscriptions.turn.take {
            try await subscriptions.catchUp()
            let roster = subscriptions.roster
            guard let webhook = roster[webhook.number] else { return nil }
            let id = try await store.createTest(
                of: webhook.number, after: roster.position(of: webhook), id: "test-\(SecretHash.randomHex(bytes: 8))",
                body: EventSubSample.event(of: webhook.subscription.type, at: now), page: page.label, at: now)
            subscriptions.asked(of: webhook.number, at: now)
            subscriptions.waits(1, of: webhook.number)
            scheduler.endPause(of: webhook.number)
            scheduler.offer([id])
            return id
        }
    }
}
