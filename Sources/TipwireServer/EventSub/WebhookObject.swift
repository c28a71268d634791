import TipwireCore
import TipwireStore
import TipwireWebhooks
import TipwireWire

/// Webhooks and their deliveries as both APIs show them: EventSub's own form, times in Unix seconds.
enum WebhookObject {
    /// - Parameter secret: shown in the one answer to its making.
    static func write(
        _ webhook: Webhook, secret: WebhookSecret? = nil, to writer: inout JSONWriter,
        more: (inout JSONWriter) -> Void = { _ in }
    ) {
        EventSubObject.write(
            webhook.subscription, transport: .webhook(callback: webhook.callback), secret: secret?.reveal(),
            to: &writer, more: more)
    }

    static func state(of webhook: Webhook) -> String { webhook.isEnabled ? "enabled" : "disabled" }

    static func writeState(_ webhook: Webhook, to writer: inout JSONWriter) {
        writer.member("state", state(of: webhook))
        writer.member("disabled_reason", webhook.disabled?.rawValue)
    }

    /// The members beyond those of `create`, as the management API shows them.
    ///
    /// - Parameter dead: dead letters.
    static func writeStanding(
        _ webhook: Webhook, _ standing: WebhookEngine.Standing, dead: Int, page: Page?, to writer: inout JSONWriter
    ) {
        writer.member("page", page?.slug.text)
        writer.member("key_id", webhook.subscription.key)
        writeState(webhook, to: &writer)
        writer.member("pending", standing.pending)
        writer.member("dead", dead)
        writer.member("failing_since", standing.failingSince?.unixSeconds)
        writer.member("last_failure", standing.lastFailure?.outcome.description)
        writer.member("next_attempt_at", standing.nextRetry?.unixSeconds)
        writer.member("paused_until", standing.pausedUntil?.unixSeconds)
        writer.member("previous_secret_expires_at", standing.previousSecretEnd?.unixSeconds)
    }
}

enum DeliveryObject {
    /// The members that EventSub's `deliveries` has.
    static func writeMembers(
        of delivery: StoredDelivery, id: String, webhook: Webhook, standing: WebhookEngine.Standing,
        to writer: inout JSONWriter
    ) {
        writer.member("id", id)
        writer.member("type", webhook.subscription.type.rawValue)
        writer.member("created_at", delivery.createdAt.unixSeconds)
        writer.member("attempts", delivery.attempts)
        writer.member("state", delivery.state.kind.rawValue)
        writer.member("status", delivery.last?.status)
        writer.member("next_attempt_at", webhook.isEnabled ? next(of: delivery, standing)?.unixSeconds : nil)
    }

    /// What the management API adds.
    static func writeMore(of delivery: StoredDelivery, to writer: inout JSONWriter) {
        var reason: String?
        if case .dead(let why) = delivery.state { reason = why.rawValue }
        writer.member("reason", reason)
        writer.member("outcome", delivery.last?.outcome)
        writer.member("test", delivery.id.isTest)
    }

    static func write(_ attempt: StoredAttempt, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("number", attempt.number)
        writer.member("began_at", attempt.began.unixSeconds)
        writer.member("duration_ms", attempt.duration)
        writer.member("status", attempt.status)
        writer.member("outcome", attempt.outcome)
        writer.member("answer", attempt.answer)
        writer.endObject()
    }

    /// When it is due, or the endpoint isn't left alone any more; now, if it only waits for its turn. A first attempt is due
    /// as soon as those before it are over.
    private static func next(of delivery: StoredDelivery, _ standing: WebhookEngine.Standing) -> Timestamp? {
        let due: Timestamp
        switch delivery.state {
        case .first: due = standing.time
        case .retry(let time): due = time
        case .delivered, .dead: return nil
        }
        return max(due, standing.pausedUntil ?? due, standing.time)
    }
}
