import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

// Several nodes use one store. Each has all webhooks in memory; one of them sends. What it has done itself it knows, and is
// told by the store what the others changed; those that rest know nothing but what the store says.

extension WebhookSubscriptions {
    /// Takes in what other nodes have changed.
    func refresh() async throws { try await turn.take { try await renew() } }

    /// The same for whoever wants to see what waits, which other nodes don't tell; at most once in `freshness`.
    func look() async throws {
        try await turn.take {
            let now = clock.now()
            if let last = state.withLock(\.readAt), now.milliseconds - last.milliseconds < Self.freshness { return }
            try await renew()
        }
    }

    /// How old what is shown of another node's work may be, in milliseconds: whoever asks in circles must not have the store read
    /// each time.
    private static let freshness: Int64 = 1_000

    /// The same before a change is made here, which must not be made of something old. In turn.
    func catchUp() async throws { if isShared { try await renew() } }

    /// In turn with what is changed here: else what was read before such a change would be put in its place.
    func renew() async throws {
        // Until all of it is taken over: the store takes what was read for known.
        state.withLock { $0.isOutdated = true }
        let snapshot = try await store.webhooks()
        let asked = try await store.asked()
        if scheduler.isSending {
            try await merge(snapshot, asked)
        } else {
            try adopt(snapshot, asked: asked)
        }
        state.withLock { $0.isOutdated = false }
    }

    /// An attempt was asked for here, which is no news to this node.
    func asked(of number: WebhookNumber, at time: Timestamp) { state.withLock { $0.asked[number] = time } }

    // MARK: Resting

    /// Puts what the store has in the place of all that is known here.
    func adopt(_ snapshot: WebhookSnapshot, asked: [WebhookNumber: Timestamp]) throws {
        var roster = WebhookRoster(level: snapshot.level)
        var pending: [WebhookNumber: Int] = [:]
        for (stored, backlog) in snapshot.webhooks {
            roster.put(try Webhook(stored, policy: policy))
            pending[stored.number] = backlog.pending
        }
        // What all that are enabled have behind them is nobody's business: a server whose webhooks were disabled for weeks
        // must not read those weeks before the first event of a new one.
        let enabled = roster.list(where: \.isEnabled).map { roster.position(of: $0) }
        roster.level = max(roster.level, enabled.min() ?? position.bounds.head)
        let now = clock.now()
        let before = state.withLock { [roster, pending] state in
            defer {
                state.roster = roster
                state.pending = pending
                state.displaced = []
                state.keptLevel = snapshot.level
                state.asked = asked
                state.readAt = now
            }
            return state.roster
        }
        for webhook in before.webhooks.values { count(webhook.subscription, now: roster[webhook.number]?.subscription) }
        for webhook in roster.webhooks.values where before[webhook.number] == nil {
            count(nil, now: webhook.subscription)
        }
    }

    private func count(_ before: EventSubscription?, now: EventSubscription?) {
        guard before != now else { return }
        if let now { quota.enter(now) }
        if let before { quota.leave(before) }
    }

    // MARK: Sending

    /// Hands those that are enabled to the scheduler, with what waits for them.
    func schedule(_ snapshot: WebhookSnapshot) {
        for (stored, backlog) in snapshot.webhooks where self[stored.number]?.isEnabled == true {
            scheduler.add(stored.number, backlog: backlog, failingSince: stored.failingSince)
        }
    }

    /// From here on this process sends: it goes on from what the store has.
    ///
    /// - Parameter begin: begins the scheduler's term, unless it isn't to begin any more.
    func begin(_ begin: @Sendable () -> Bool) async throws {
        try await refresh()
        // Before anything is sent, as at a start.
        await disableUnfounded()
        try await turn.take {
            let snapshot = try await store.webhooks()
            try adopt(snapshot, asked: try await store.asked())
            if begin() { schedule(snapshot) }
        }
        wakeUp.signal()
    }

    /// Takes over what others have changed, and keeps what is changed here alone: how far the log has been read, and what
    /// waits.
    private func merge(_ snapshot: WebhookSnapshot, _ asked: [WebhookNumber: Timestamp]) async throws {
        let known = roster
        let askedBefore = state.withLock { state in
            defer { state.asked = asked }
            return state.asked
        }
        let there = Set(snapshot.webhooks.map(\.webhook.number))
        for number in known.webhooks.keys where !there.contains(number) { forget(number) }
        for (stored, backlog) in snapshot.webhooks {
            let before = known[stored.number]
            if before?.isAsStored(stored) != true { try put(stored, backlog, before) }
            guard before?.isEnabled == true, stored.disabled == nil else { continue }
            if let time = asked[stored.number], time != askedBefore[stored.number] {
                // Whoever asks for an attempt has reason to believe that the endpoint is well again.
                scheduler.reload(stored.number)
                try await recount(stored.number)
            }
        }
        // One that was enabled, or is new, may have something behind it.
        wakeUp.signal()
    }

    private func put(_ stored: StoredWebhook, _ backlog: WebhookBacklog, _ before: Webhook?) throws {
        let webhook = try Webhook(stored, policy: policy)
        let wasEnabled = before?.isEnabled == true
        state.withLock { state in
            state.roster.put(webhook)
            if !(wasEnabled && webhook.isEnabled) { state.pending[stored.number] = backlog.pending }
        }
        count(before?.subscription, now: stored.subscription)
        if wasEnabled, !webhook.isEnabled {
            scheduler.remove(stored.number)
        } else if !wasEnabled, webhook.isEnabled {
            scheduler.add(stored.number, backlog: backlog, failingSince: stored.failingSince)
        }
    }

    // MARK: Another log

    /// The log has lost its end, and goes on as another one: nobody has read more of it than there is.
    func logReplaced(endingAt head: Int64) async {
        await turn.take {
            // What has come of the log before would pass for this one's.
            _ = wakeUp.take(after: .max)
            state.withLock { state in
                state.roster.level = min(state.roster.level, head)
                state.keptLevel = min(state.keptLevel, head)
                for webhook in state.roster.webhooks.values where webhook.position.map({ $0 > head }) ?? false {
                    state.roster.change(webhook.number) { $0.position = head }
                }
            }
        }
    }
}

extension Webhook {
    /// Whether the store says the same of it.
    fileprivate func isAsStored(_ stored: StoredWebhook) -> Bool {
        subscription == stored.subscription && callback == stored.callback && secrets.stored == stored.secrets
            && disabled == stored.disabled && position == stored.position
    }
}
