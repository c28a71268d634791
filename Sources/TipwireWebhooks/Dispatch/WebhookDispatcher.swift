import Logging
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Turns the log into deliveries: reads what follows its position, and keeps for each event a row for every webhook that
/// wants it, together with the position, in one transaction.
///
/// A webhook that was disabled for a while, or is new, has a position of its own, and is brought level from the log.
struct WebhookDispatcher: Sendable {
    struct Limits: Sendable {
        /// Deliveries of one webhook that may wait; beyond it the oldest become dead letters.
        var pending = 10_000
        /// Most deliveries of one transaction, and those of one event more: it has the writer for itself, and tips wait for
        /// it.
        var batchDeliveries = 2_000
        /// Most events of one read.
        var batchEvents = 512
        /// How far the kept level may be behind when no event was anyone's business.
        var unkeptEvents: Int64 = 10_000
    }

    /// How often the log is looked at without a wake-up.
    static let pollInterval: Int64 = 1_000

    let store: any LogStore & WebhookStore
    let position: LogPosition
    let wakeUp: WakeUp.Listener
    let encoder: EventEncoder
    let webhooks: WebhookSubscriptions
    let window: EventWindow
    let scheduler: DeliveryScheduler
    let limits: Limits
    let metrics: WebhookMetrics
    let logger: Logger

    func run() async {
        for await _ in wakeUp.signals {
            do {
                while try await dispatch() {}
            } catch is CancellationError {
                return
            } catch is SendingElsewhere {
                // This node is told so by its next beat, and rests.
                logger.warning("another node sends the webhooks; nothing was kept for it")
            } catch {
                // The position stands: the next signal, at most a second away, reads again.
                logger.error("the log can't be turned into deliveries; webhooks wait", metadata: ["error": "\(error)"])
            }
        }
    }

    func stop() { wakeUp.finish() }

    /// One batch; false when there was nothing to do.
    func dispatch() async throws -> Bool {
        try await webhooks.turn.take {
            if webhooks.isOutdated { try await webhooks.renew() }
            let roster = webhooks.roster
            guard scheduler.isSending else {
                _ = wakeUp.take(after: roster.level)
                return false
            }
            guard roster.enabledCount > 0 else {
                _ = wakeUp.take(after: roster.level)
                webhooks.setLevel(position.bounds.head)
                return false
            }
            if let batch = try await news(roster) {
                try await keep(batch)
                return true
            }
            guard let batch = try await missed(roster) else { return false }
            try await keep(batch)
            return true
        }
    }

    /// What is to be kept, and the events that it tells of.
    private struct Batch {
        var dispatch: WebhookDispatch
        var events: [EncodedEvent] = []
        /// Whether it is worth a write.
        var isNews = false

        mutating func add(_ event: EncodedEvent, to webhook: Webhook) {
            let subscription = webhook.subscription
            guard event.bytes(in: .eventSub(subscription.type, subscription.condition)) != nil else { return }
            let id = DeliveryID(webhook: webhook.number, sequence: event.sequence)
            dispatch.deliveries.append(.init(id: id, createdAt: event.event.time))
            if events.last?.sequence != event.sequence { events.append(event) }
            isNews = true
        }
    }

    /// The next events of the log; nil when there are none.
    private func news(_ roster: WebhookRoster) async throws -> Batch? {
        var (events, through) = try await events(after: roster.level)
        guard through > roster.level else { return nil }
        var batch = Batch(dispatch: WebhookDispatch(level: through))
        for event in try await encoder.encode(events) {
            if batch.dispatch.deliveries.count >= limits.batchDeliveries {
                through = event.sequence - 1
                break
            }
            for webhook in roster.webhooks(of: event.event.page) where webhook.isEnabled {
                // Those that are behind get it when they are brought level, those ahead not at all.
                if let own = webhook.position, own < roster.level || own >= event.sequence { continue }
                batch.add(event, to: webhook)
            }
        }
        batch.dispatch.level = through
        for number in roster.unlevel {
            guard let own = roster[number]?.position, own >= roster.level, own <= through else { continue }
            batch.dispatch.positions[number] = .some(nil)
            batch.isNews = true
        }
        if through - webhooks.keptLevel >= limits.unkeptEvents { batch.isNews = true }
        return batch
    }

    private func events(after level: Int64) async throws -> (events: [Event], through: Int64) {
        let offered = wakeUp.take(after: level)
        if let last = offered.last { return (offered, last.sequence) }
        // A look each second must not cost a read while nothing happens.
        guard position.bounds.head > level else { return ([], level) }
        let slice = try await store.events(after: level, pages: .all, limit: limits.batchEvents)
        if slice.bounds.prunedThrough > level {
            logger.error("retention removed events before webhooks had them; retention.bytes is too small")
        }
        return (slice.events, max(slice.through, level))
    }

    /// What one that is behind has missed; nil when none is.
    private func missed(_ roster: WebhookRoster) async throws -> Batch? {
        let behind = roster.unlevel.lazy.compactMap { roster[$0] }
            .filter { $0.position.map { $0 < roster.level } ?? false }.min { $0.number < $1.number }
        guard let webhook = behind, let own = webhook.position else { return nil }
        let slice = try await store.events(
            after: own, pages: .some([webhook.subscription.page]), limit: limits.batchEvents)
        let through = min(slice.through, roster.level)
        var batch = Batch(dispatch: WebhookDispatch(level: roster.level), isNews: true)
        let events = try await encoder.encode(slice.events.filter { $0.sequence <= through })
        for event in events { batch.add(event, to: webhook) }
        batch.dispatch.positions[webhook.number] = .some(through == roster.level ? nil : through)
        return batch
    }

    private func keep(_ batch: Batch) async throws {
        var dispatch = batch.dispatch
        guard batch.isNews else { return webhooks.setLevel(dispatch.level) }
        let counts = dispatch.counts
        for number in counts.keys { dispatch.room[number] = limits.pending - webhooks.pending(of: number) }
        let outcome: WebhookDispatch.Outcome
        do {
            outcome = try await store.dispatch(dispatch)
        } catch is WebhooksChanged {
            // Whoever had another node end a webhook, or give it a secret, before these events were taken is obeyed by them; news
            // of that may come after theirs. The next round goes by what is read now.
            return try await webhooks.renew()
        }
        let displaced = outcome.displaced
        let running = scheduler.displace(displaced)
        webhooks.dispatched(dispatch, outcome, running: running)
        if !displaced.isEmpty {
            metrics.countDead(.tooManyPending, displaced.count)
            logger.warning(
                "webhooks have too many deliveries waiting; the oldest are given up",
                metadata: ["deliveries": "\(displaced.count)", "limit": "\(limits.pending)"])
        }
        window.put(batch.events)
        // Some were there already: from before they were missed, or from a dispatch whose end was never heard of.
        for (number, count) in counts where outcome.added[number] != count { try? await webhooks.recount(number) }
        let gone = Set(displaced)
        scheduler.offer(dispatch.deliveries.map(\.id).filter { !gone.contains($0) })
    }
}
