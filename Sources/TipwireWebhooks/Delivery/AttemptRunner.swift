import Logging
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Makes attempts, from the delivery's row to the record of its end.
struct AttemptRunner: Sendable {
    let store: any WebhookStore
    let sender: any WebhookSending
    let recorder: AttemptRecorder
    let scheduler: DeliveryScheduler
    let messages: WebhookMessages
    let webhooks: WebhookSubscriptions
    let clock: any DeliveryClock
    let schedule: RetrySchedule
    let metrics: WebhookMetrics
    let logger: Logger

    /// How long a look-up that failed is waited with, in milliseconds.
    private static let pause: Int64 = 1_000

    /// One attempt at a delivery, whose place is free when this returns.
    func attempt(_ id: DeliveryID, isFirst: Bool) async {
        // What waited for its turn when the sending came to an end is another node's, or the next term's.
        guard let webhook = webhooks[id.webhook], webhook.isEnabled, scheduler.isSending else {
            return scheduler.ended(id, wasMade: false, next: nil)
        }
        let epoch = messages.epoch
        do {
            guard let delivery = try await delivery(id, isFirst: isFirst) else {
                webhooks.ended(id, isSettled: false)
                return scheduler.ended(id, wasMade: false, next: nil)
            }
            // A load may have read it before the attempt that put it off.
            if case .retry(let due) = delivery.state, due > clock.now() {
                return scheduler.ended(id, wasMade: false, next: due)
            }
            guard let message = try await messages.message(of: delivery, to: webhook) else {
                return await bury(delivery, .expired)
            }
            await attempt(delivery, message, webhook, epoch)
        } catch {
            logger.error("a webhook's delivery can't be read; it waits", metadata: ["error": "\(error)"])
            // In vain at the end of the server, and then it is found by the next start.
            try? await clock.sleep(milliseconds: Self.pause)
            scheduler.ended(id, wasMade: false, next: clock.now())
        }
    }

    /// The delivery as it stands; nil when it isn't pending any more.
    private func delivery(_ id: DeliveryID, isFirst: Bool) async throws -> StoredDelivery? {
        // One that waits for its first attempt has nothing that isn't known: its row would be read for every delivery.
        if isFirst, !id.isTest { return StoredDelivery(first: id) }
        return try await store.delivery(id).flatMap { $0.state.isPending ? $0 : nil }
    }

    private func attempt(
        _ delivery: StoredDelivery, _ message: WebhookMessages.Message, _ webhook: Webhook, _ epoch: String
    ) async {
        let attempt = DueDelivery(attemptsMade: delivery.round, due: clock.now()).begin(at: clock.now())
        let report: AttemptReport
        switch webhook.target {
        case .failure(let refusal):
            report = AttemptReport(outcome: .refusedCallback(refusal), duration: .zero)
        case .success(let url):
            let request = WebhookRequest(
                url: url, id: message.id, timestamp: attempt.began, body: message.body,
                secrets: webhook.secrets.signing(at: attempt.began), attempt: delivery.attempts + 1)
            do {
                report = try await sender.send(request)
            } catch {
                return scheduler.ended(delivery.id, wasMade: false, next: nil)
            }
        }
        // Its id may stand for something else in the log that is there now.
        guard messages.epoch == epoch else { return scheduler.ended(delivery.id, wasMade: false, next: nil) }
        let ended = attempt.ended(
            report.outcome, at: clock.now(), schedule: schedule, chance: Double.random(in: 0...1))
        metrics.count(report)
        let standing = scheduler.judge(report.outcome, of: webhook.number)
        let state = DeliveryState(ended.next)
        let progress = DeliveryProgress(
            id: delivery.id,
            attempt: StoredAttempt(
                number: delivery.attempts + 1, began: ended.began, duration: report.duration.milliseconds,
                status: report.outcome.status, code: report.outcome.code, outcome: report.outcome.description,
                address: report.address?.description, answer: report.excerpt),
            round: ended.number, state: state)
        if case .dead(let reason) = state { countDead(webhook.number, reason) }
        if let standing { log(standing, report.outcome, of: webhook) }
        await recorder.record(progress, standing: standing)
        if let reason = standing?.disabled { await webhooks.wasDisabled(webhook.number, reason) }
        finish(delivery.id, state)
    }

    /// A delivery that can't be made any more.
    private func bury(_ delivery: StoredDelivery, _ reason: DeadLetterReason) async {
        countDead(delivery.id.webhook, reason)
        let progress = DeliveryProgress(
            id: delivery.id, attempt: nil, round: delivery.round, state: .dead(reason))
        await recorder.record(progress, standing: nil)
        webhooks.ended(delivery.id, isSettled: true)
        scheduler.ended(delivery.id, wasMade: false, next: nil)
    }

    private func countDead(_ webhook: WebhookNumber, _ reason: DeadLetterReason) {
        metrics.countDead(reason)
        webhooks.countDead(webhook)
    }

    /// The first failure, and the success that ends a row of them. That it is disabled is logged by whoever does it.
    private func log(_ standing: EndpointStanding, _ outcome: AttemptOutcome, of webhook: Webhook) {
        if standing.failingSince == nil {
            logger.notice("webhook answers again", metadata: ["webhook": "\(webhook.id)"])
        } else if standing.disabled == nil {
            logger.warning(
                outcome.isFinal
                    ? "webhook can't be sent to; its deliveries are given up"
                    : "webhook fails; its deliveries are tried again",
                metadata: ["webhook": "\(webhook.id)", "outcome": "\(outcome)"])
        }
    }

    private func finish(_ id: DeliveryID, _ state: DeliveryState) {
        var next: Timestamp?
        if case .retry(let due) = state { next = due }
        // While it has its place, it is known to be under way; it is counted before it gives that back.
        webhooks.ended(id, isSettled: next == nil)
        scheduler.ended(id, wasMade: true, next: next)
    }
}

extension StoredDelivery {
    /// One that nobody has tried yet. When it was made is of no account to its attempt.
    fileprivate init(first id: DeliveryID) {
        self.init(
            id: id, createdAt: Timestamp(milliseconds: 0), state: .first, attempts: 0, round: 0, last: nil, testID: nil)
    }
}

extension DeliveryState {
    fileprivate init(_ next: EndedAttempt.Next) {
        switch next {
        case .delivered: self = .delivered
        case .retry(let delivery): self = .retry(due: delivery.due)
        case .deadLetter(let reason): self = .dead(reason)
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    fileprivate var milliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
