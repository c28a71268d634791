/// How the subscription of a webhook reads to people.
enum SubscriptionText {
    static let columns: [Table.Column] = [
        .init(title: "ID"), .init(title: "PAGE"), .init(title: "TYPE"), .init(title: "CALLBACK", limit: 60),
        .init(title: "STATE"), .init(title: "PENDING", alignedRight: true), .init(title: "DEAD", alignedRight: true),
        .init(title: "NEXT TRY"),
    ]

    static func cells(_ subscription: SubscriptionObject) -> [VisibleText] {
        [
            VisibleText(subscription.id), VisibleText(subscription.page), VisibleText(subscription.type),
            VisibleText(subscription.transport.callback), state(subscription),
            VisibleText(String(subscription.pending)), VisibleText(String(subscription.dead)), nextTry(subscription),
        ]
    }

    /// All there is to tell of one, a line each.
    static func properties(_ subscription: SubscriptionObject) -> String {
        let conditions = (subscription.condition ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return Table.properties(
            [
                ("id", VisibleText(subscription.id)),
                ("page", VisibleText(subscription.page)),
                ("type", VisibleText(subscription.type)),
                ("condition", VisibleText(conditions.isEmpty ? "none" : conditions.joined(separator: ", "))),
                ("callback", VisibleText(subscription.transport.callback)),
                ("state", state(subscription)),
                ("last failure", VisibleText(subscription.lastFailure ?? "")),
                ("paused until", subscription.pausedUntil.map(Wording.moment) ?? VisibleText("")),
                ("pending", VisibleText(String(subscription.pending))),
                ("next try", nextTry(subscription)),
                ("dead", VisibleText(String(subscription.dead))),
                ("old secret until", subscription.previousSecretExpiresAt.map(Wording.moment) ?? VisibleText("")),
                ("key", VisibleText(subscription.keyID ?? "none")),
                ("created", Wording.moment(subscription.createdAt)),
            ], omitsEmpty: true)
    }

    /// `webhook 1-2-… is enabled · 12 deliveries wait; what happened meanwhile is sent too`.
    static func change(_ subscription: SubscriptionObject) -> String {
        let waiting =
            switch subscription.pending {
            case 0: "no delivery waits"
            case 1: "1 delivery waits"
            case let count: "\(count) deliveries wait"
            }
        let later =
            subscription.isEnabled
            ? "; what happened meanwhile is sent too"
            : "; what happens from now on stays in the log, and is sent when it is enabled"
        return "webhook \(VisibleText(subscription.id)) is \(VisibleText(subscription.state)) · \(waiting)\(later)\n"
    }

    /// `enabled`, `enabled, failing since 2026-07-01 15:04:05Z`, `disabled: the endpoint answered 410`.
    static func state(_ subscription: SubscriptionObject) -> VisibleText {
        if !subscription.isEnabled {
            guard let reason = subscription.disabledReason else { return VisibleText(subscription.state) }
            // `disabled by its owner` says it all.
            return VisibleText(reason.hasPrefix(subscription.state) ? reason : "\(subscription.state): \(reason)")
        }
        guard let since = subscription.failingSince else { return VisibleText(subscription.state) }
        return VisibleText("\(subscription.state), failing since \(Wording.moment(since))")
    }

    /// When the endpoint is next asked because of an earlier failure. Not before the pause is over, whenever the retry
    /// that waits was due; and never while the subscription is disabled.
    static func nextTry(_ subscription: SubscriptionObject) -> VisibleText {
        guard subscription.isEnabled, subscription.pending > 0 else { return VisibleText("") }
        let times = [subscription.nextAttemptAt, subscription.pausedUntil].compactMap(\.self)
        return times.max().map(Wording.moment) ?? VisibleText("")
    }

    /// Why a delivery has to wait for its first attempt; nil if nothing in the subscription, as it is now, explains it.
    static func hindrance(_ subscription: SubscriptionObject) -> String? {
        if !subscription.isEnabled { return "the webhook is \(state(subscription))" }
        let failure = subscription.lastFailure.map { " (the last time: \(VisibleText($0)))" } ?? ""
        if let until = subscription.pausedUntil {
            return "the endpoint failed too often\(failure), so nothing is sent until \(Wording.moment(until))"
        }
        if !failure.isEmpty { return "the endpoint fails\(failure), and gets one attempt at a time" }
        return subscription.pending > 1
            ? "\(subscription.pending) deliveries wait, this one among them; first attempts are made one at a time"
            : nil
    }
}
