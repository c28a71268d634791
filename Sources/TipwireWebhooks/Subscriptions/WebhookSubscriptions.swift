import Logging
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// The webhooks: made here, changed here, and ended. The one door to them, for the API and EventSub alike.
///
/// All are in memory, since every event asks who wants it; the store has the truth, which each change reaches first.
public final class WebhookSubscriptions: AccessEnforcing, Sendable {
    struct State {
        var roster: WebhookRoster
        /// Deliveries that wait for their first or next attempt. Beside the roster, because they change all the time.
        var pending: [WebhookNumber: Int] = [:]
        /// Deliveries that were given up to make room and may be under way: they don't wait, and must not be counted down
        /// once more when they end.
        var displaced: Set<DeliveryID> = []
        /// Webhooks of which deliveries have ended since they were last asked for.
        var settled: Set<WebhookNumber> = []
        /// Attempts that have ended.
        var endings = 0
        /// Deliveries that were given up since they were last asked for.
        var dead: [WebhookNumber: Int] = [:]
        /// The level that the store has.
        var keptLevel: Int64
        /// When attempts of each were last asked for, as far as is known here.
        var asked: [WebhookNumber: Timestamp] = [:]
        /// What was read of other nodes' changes was not all taken over.
        var isOutdated = false
        /// When all of this was last read.
        var readAt: Timestamp?
    }

    /// Most deliveries that are removed in one transaction, each with up to as many attempts as the schedule has: some tens
    /// of milliseconds.
    private static let trimDeliveries = 100

    let store: any WebhookStore
    let directory: Directory
    let position: LogPosition
    let quota: SubscriptionQuota
    let scheduler: DeliveryScheduler
    let wakeUp: WakeUp.Listener
    let clock: any DeliveryClock
    let policy: CallbackPolicy
    private let secretOverlap: Int64
    private let logger: Logger
    let state: Mutex<State>
    /// Changes of webhooks, and stretches of the log that become deliveries, happen one after another: a webhook that is
    /// made or enabled knows exactly where in the log it begins.
    let turn = Turn()

    /// Whether other nodes use the same store.
    let isShared: Bool

    /// - Parameters:
    ///   - secretOverlap: how long a secret that was replaced is signed with too, in milliseconds.
    ///   - isShared: whether other nodes use the same store.
    init(
        store: any WebhookStore, directory: Directory, position: LogPosition, quota: SubscriptionQuota,
        scheduler: DeliveryScheduler, wakeUp: WakeUp.Listener, clock: any DeliveryClock, policy: CallbackPolicy,
        secretOverlap: Int64, isShared: Bool, logger: Logger
    ) async throws {
        self.store = store
        self.directory = directory
        self.position = position
        self.quota = quota
        self.scheduler = scheduler
        self.wakeUp = wakeUp
        self.clock = clock
        self.policy = policy
        self.secretOverlap = secretOverlap
        self.logger = logger
        self.isShared = isShared
        state = Mutex(State(roster: WebhookRoster(level: 0), keptLevel: 0))
        let snapshot = try await store.webhooks()
        try adopt(snapshot, asked: [:])
        // Before anything is sent: a key may have been revoked in the moment of a crash, or have expired since.
        if scheduler.isSending { await disableUnfounded() }
        schedule(snapshot)
    }

    // MARK: Reading

    public subscript(id: String) -> Webhook? { state.withLock { $0.roster[id] } }
    subscript(number: WebhookNumber) -> Webhook? { state.withLock { $0.roster[number] } }

    /// In the order of their making.
    public func list(where condition: (Webhook) -> Bool) -> [Webhook] {
        state.withLock { $0.roster }.list(where: condition)
    }

    public func pending(of number: WebhookNumber) -> Int { state.withLock { $0.pending[number] ?? 0 } }

    public var counts: (enabled: Int, disabled: Int, pending: Int) {
        state.withLock { state in
            let enabled = state.roster.enabledCount
            return (enabled, state.roster.webhooks.count - enabled, state.pending.values.reduce(0, +))
        }
    }

    var roster: WebhookRoster { state.withLock(\.roster) }
    var isOutdated: Bool { state.withLock(\.isOutdated) }
    var keptLevel: Int64 { state.withLock(\.keptLevel) }

    // MARK: Changes

    /// Keeps a webhook, whose callback has been found good; it is told of what is committed from now on.
    func create(_ subscription: EventSubscription, callback: CallbackURL, secret: WebhookSecret) async throws -> Webhook
    {
        let callback = callback.description
        let webhook = try await turn.take {
            let head = position.bounds.head
            let number = try await store.createWebhook(
                subscription, callback: callback, secret: StoredSecret(secret.reveal()), position: head)
            let webhook = Webhook(
                number: number, subscription: subscription, callback: callback, policy: policy,
                secrets: SecretRing(secret), position: head)
            state.withLock { $0.roster.put(webhook) }
            scheduler.add(number, backlog: WebhookBacklog())
            return webhook
        }
        // Of what was committed while it was made, with nobody here to be told, nobody was.
        wakeUp.signal()
        // What it rests on may have gone meanwhile; then nobody else would notice.
        await disableIfUnfounded(webhook.number)
        return self[webhook.number] ?? webhook
    }

    public func delete(_ webhook: Webhook) async throws {
        // What has ended first, piece by piece: all in one transaction would keep tips waiting.
        try await trim(webhook.number, keeping: 0)
        try await turn.take {
            try await store.deleteWebhook(webhook.number)
            forget(webhook.number)
        }
    }

    /// Removes deliveries that have ended, but for the newest.
    func trim(_ number: WebhookNumber, keeping keep: Int) async throws {
        while try await store.trimDeliveries(of: number, keeping: keep, limit: Self.trimDeliveries)
            == Self.trimDeliveries
        {}
    }

    public func disable(_ webhook: Webhook) async throws { try await disable(webhook.number, .owner) }

    /// Sends to it again: what waits, what has happened since it was disabled, and what will.
    ///
    /// - Parameter key: of the caller. When the key that it belonged to is gone it belongs to this one, for it needs one.
    /// - Returns: the webhook as it is then; nil when it is gone. Throws `SubscriptionQuota.Refusal` when that key has as many
    ///   subscriptions as it may.
    public func enable(_ webhook: Webhook, key: String?) async throws -> Webhook? {
        let enabled = try await turn.take { () async throws -> Webhook? in
            try await catchUp()
            guard var webhook = self[webhook.number] else { return nil }
            guard !webhook.isEnabled else { return webhook }
            let now = clock.now()
            let former = webhook.subscription
            switch directory.look({ $0.loss(of: former, at: now) }) {
            case .keyRevoked?, .keyExpired?: webhook.subscription = former.belonging(to: key)
            default: break
            }
            if let loss = directory.look({ $0.loss(of: webhook.subscription, at: now) }) {
                // Not a message may go out, and whoever asked should see why.
                try await store.updateWebhook(webhook.number, disabled: loss, key: former.key)
                state.withLock { $0.roster.change(webhook.number) { $0.disabled = loss } }
                return webhook
            }
            // Its place is taken before it is kept, as with a new one.
            let changesHands = webhook.subscription.key != former.key
            if changesHands { try quota.admit(webhook.subscription) }
            webhook.disabled = nil
            webhook.hadFailedSince = nil
            do {
                try await store.updateWebhook(webhook.number, disabled: nil, key: webhook.subscription.key)
            } catch {
                if changesHands { quota.leave(webhook.subscription) }
                throw error
            }
            if changesHands { quota.leave(former) }
            let backlog = try await store.backlog(of: webhook.number)
            state.withLock { state in
                state.roster.put(webhook)
                state.pending[webhook.number] = backlog.pending
            }
            scheduler.add(webhook.number, backlog: backlog)
            return webhook
        }
        // There may be something to bring it level with.
        wakeUp.signal()
        await disableIfUnfounded(webhook.number)
        return enabled.flatMap { self[$0.number] }
    }

    /// Puts a secret in force; the one before is signed with too for a while.
    ///
    /// - Parameter endsOthers: not even for a while, nor any of those before it: somebody else may have them.
    /// - Returns: until when; nil when the webhook is gone.
    public func rotate(
        _ webhook: Webhook, to secret: WebhookSecret, endsOthers: Bool = false
    ) async throws -> Timestamp? {
        try await turn.take {
            let now = clock.now()
            let overlapEnd = endsOthers ? now : now.advanced(milliseconds: secretOverlap)
            // From those that the store has, which another node may have changed.
            let stored = try await store.changeSecrets(of: webhook.number) { before in
                guard !endsOthers, var secrets = SecretRing(before) else { return SecretRing(secret).stored }
                secrets.rotate(to: secret, overlapEnd: overlapEnd, at: now)
                return secrets.stored
            }
            guard let secrets = stored.flatMap(SecretRing.init) else { return nil }
            state.withLock { $0.roster.change(webhook.number) { $0.secrets = secrets } }
            return overlapEnd
        }
    }

    private func disable(_ number: WebhookNumber, _ reason: DisabledReason) async throws {
        try await turn.take {
            try await catchUp()
            guard let webhook = self[number], webhook.isEnabled else { return }
            // Whoever lost their access gets nothing more, whatever becomes of the record. Its owner's wish is fulfilled or
            // isn't.
            var failingSince = reason == .owner ? nil : scheduler.remove(number)
            try await store.updateWebhook(number, disabled: reason, key: webhook.subscription.key)
            failingSince = scheduler.remove(number) ?? failingSince
            noteDisabled(number, reason, failingSince: failingSince)
        }
    }

    /// An attempt has shown that nothing should be sent any more; the store knows.
    func wasDisabled(_ number: WebhookNumber, _ reason: DisabledReason) async {
        let failingSince = scheduler.remove(number)
        await turn.take { noteDisabled(number, reason, failingSince: failingSince) }
    }

    private func noteDisabled(_ number: WebhookNumber, _ reason: DisabledReason, failingSince: Timestamp?) {
        let disabled = state.withLock { state in
            let level = state.roster.level
            let isEnabled = state.roster[number]?.isEnabled == true
            state.roster.change(number) { webhook in
                guard isEnabled else { return }
                webhook.disabled = reason
                webhook.hadFailedSince = failingSince
                webhook.position = webhook.position ?? level
            }
            return isEnabled ? state.roster[number] : nil
        }
        guard let disabled else { return }
        logger.notice(
            "webhook disabled", metadata: ["webhook": "\(disabled.id)", "reason": "\(reason.rawValue)"])
    }

    func forget(_ number: WebhookNumber) {
        scheduler.remove(number)
        let webhook = state.withLock { state in
            state.pending[number] = nil
            state.displaced = state.displaced.filter { $0.webhook != number }
            return state.roster.remove(number)
        }
        if let webhook { quota.leave(webhook.subscription) }
    }

    // MARK: Ends

    public func enforce(_ loss: AccessLoss) async {
        if case .pageDeleted(let page) = loss {
            // The store has let go of them with the page.
            await turn.take { for webhook in roster.webhooks(of: page) { forget(webhook.number) } }
        } else {
            await disableUnfounded()
        }
    }

    /// Disables those that have lost what they rest on: their key, or the place on their page.
    func disableUnfounded() async {
        let now = clock.now()
        let roster = roster
        let lost = directory.look { view in
            roster.webhooks.values.filter { $0.isEnabled && view.loss(of: $0.subscription, at: now) != nil }
        }
        for webhook in lost { await disableIfUnfounded(webhook.number) }
    }

    private func disableIfUnfounded(_ number: WebhookNumber) async {
        guard let reason = loss(of: number) else { return }
        do {
            guard isShared else { return try await disable(number, reason) }
            // What it rests on may have been made on another node a moment ago.
            try await directory.refresh()
            try await refresh()
            if let reason = loss(of: number) { try await disable(number, reason) }
        } catch {
            // It has no place in the scheduler any more, and this is tried again within a second.
            logger.error(
                "a webhook that lost its access was not disabled in the store", metadata: ["error": "\(error)"])
        }
    }

    /// What an enabled one has lost of what it rests on.
    private func loss(of number: WebhookNumber) -> DisabledReason? {
        let now = clock.now()
        guard let webhook = self[number], webhook.isEnabled else { return nil }
        return directory.look { $0.loss(of: webhook.subscription, at: now) }
    }

    // MARK: Deliveries

    func setLevel(_ level: Int64) { state.withLock { $0.roster.level = max($0.roster.level, level) } }

    /// A stretch of the log has become deliveries.
    ///
    /// - Parameter running: those of the displaced ones whose attempts are under way.
    func dispatched(_ dispatch: WebhookDispatch, _ outcome: WebhookDispatch.Outcome, running: Set<DeliveryID>) {
        state.withLock { state in
            state.roster.level = max(state.roster.level, dispatch.level)
            state.keptLevel = max(state.keptLevel, dispatch.level)
            for (number, position) in dispatch.positions {
                state.roster.change(number) { if $0.isEnabled { $0.position = position } }
            }
            for (number, count) in outcome.added where state.roster[number] != nil {
                state.pending[number, default: 0] += count
            }
            for id in outcome.displaced where state.pending[id.webhook] != nil {
                state.pending[id.webhook]! -= 1
                state.settled.insert(id.webhook)
                state.dead[id.webhook, default: 0] += 1
                if running.contains(id) { state.displaced.insert(id) }
            }
        }
    }

    /// An attempt has ended, and its delivery waits no more, or for another one.
    func ended(_ id: DeliveryID, isSettled: Bool) {
        state.withLock { state in
            state.endings += 1
            guard state.displaced.remove(id) == nil, isSettled, let pending = state.pending[id.webhook] else { return }
            state.pending[id.webhook] = max(0, pending - 1)
            state.settled.insert(id.webhook)
        }
    }

    /// The webhooks of which deliveries have ended since the last call.
    func takeSettled() -> Set<WebhookNumber> {
        state.withLock { state in
            defer { state.settled = [] }
            return state.settled
        }
    }

    func countDead(_ number: WebhookNumber) { state.withLock { $0.dead[number, default: 0] += 1 } }

    /// The deliveries that were given up since the last call.
    func takeDead() -> [WebhookNumber: Int] {
        state.withLock { state in
            defer { state.dead = [:] }
            return state.dead
        }
    }

    /// Counts anew what waits: what is kept in memory is news, and the store the truth. In turn, so that nothing new comes
    /// meanwhile; and not beside an attempt, which is told of to both, but not in one moment.
    func recount(_ number: WebhookNumber) async throws {
        guard scheduler.running(of: number) == 0 else { return }
        let endings = state.withLock(\.endings)
        let pending = try await store.backlog(of: number).pending
        guard scheduler.running(of: number) == 0 else { return }
        state.withLock { state in
            if state.roster[number] != nil, state.endings == endings { state.pending[number] = pending }
        }
    }

    /// Deliveries that had ended wait again. Those among them that had to make room amid their attempts are counted down by
    /// its end, as others are.
    func revived(_ count: Int, of number: WebhookNumber) async throws {
        waits(count, of: number)
        for id in state.withLock(\.displaced) where id.webhook == number {
            guard try await store.delivery(id)?.state.isPending == true else { continue }
            state.withLock { _ = $0.displaced.remove(id) }
        }
    }

    /// Deliveries wait again, or more than before.
    func waits(_ count: Int, of number: WebhookNumber) {
        state.withLock { state in
            if state.roster[number] != nil { state.pending[number, default: 0] += count }
        }
    }
}

extension EventSubscription {
    fileprivate func belonging(to key: String?) -> EventSubscription {
        EventSubscription(
            id: id, page: page, account: account, key: key, type: type, condition: condition, createdAt: createdAt)
    }
}
