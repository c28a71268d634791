/// How deliveries to a webhook read to people.
enum DeliveryText {
    static func table(_ deliveries: [DeliveryObject]) -> String {
        var table = Table([
            .init(title: "ID"), .init(title: "TYPE"), .init(title: "TIME"), .init(title: "STATE"),
            .init(title: "ATTEMPTS", alignedRight: true), .init(title: "OUTCOME"), .init(title: "NEXT TRY"),
        ])
        for delivery in deliveries {
            table.add([
                VisibleText(delivery.id), VisibleText(delivery.type), Wording.moment(delivery.createdAt),
                state(delivery), VisibleText(String(delivery.attempts)), outcome(delivery), nextTry(delivery),
            ])
        }
        return table.text
    }

    /// One delivery whole: its properties, its attempts, and what is sent.
    static func whole(_ delivery: DeliveryObject) -> String {
        let properties = Table.properties(
            [
                ("id", VisibleText(delivery.id)),
                ("type", VisibleText(delivery.type)),
                ("time", Wording.moment(delivery.createdAt)),
                ("state", state(delivery)),
                ("attempts", VisibleText(String(delivery.attempts))),
                ("next try", nextTry(delivery)),
                ("body", VisibleText(delivery.request?.body ?? "not kept: the log no longer has the event")),
            ], omitsEmpty: true)
        guard let log = delivery.log, !log.isEmpty else { return properties }
        var attempts = Table([
            .init(title: "ATTEMPT", alignedRight: true), .init(title: "TIME"), .init(title: "TOOK", alignedRight: true),
            .init(title: "OUTCOME"), .init(title: "ANSWER"),
        ])
        for attempt in log {
            attempts.add([
                VisibleText(String(attempt.number)), Wording.moment(attempt.beganAt),
                VisibleText("\(attempt.durationMilliseconds) ms"), VisibleText(attempt.outcome),
                VisibleText(attempt.answer ?? ""),
            ])
        }
        return properties + "\n" + attempts.text
    }

    /// `delivery 8f3a1c07-42 is tried again · before: answered 500`.
    static func retry(_ delivery: DeliveryObject) -> String {
        let outcome = outcome(delivery).description
        return "delivery \(VisibleText(delivery.id)) is tried again" + later(delivery.isHeld)
            + (outcome.isEmpty ? "" : " · before: \(outcome)") + "\n"
    }

    static func retry(_ answer: RetryAnswer) -> String {
        let later = later(answer.state == "disabled")
        return switch answer.retried {
        case 0: "no delivery fits, so none is tried again; those that wait are sent now with --status pending\n"
        case 1: "1 delivery is tried again\(later)\n"
        case let count: "\(count) deliveries are tried again\(later)\n"
        }
    }

    private static func later(_ isHeld: Bool) -> String {
        isHeld ? " when the webhook is enabled; now it is disabled" : ""
    }

    /// `delivered · answered 200 · 12 ms · delivery test-0123`.
    static func success(_ delivery: DeliveryObject) -> String {
        let took = delivery.log?.last.map { ["\($0.durationMilliseconds) ms"] } ?? []
        let parts = ["delivered", outcome(delivery).description] + took + ["delivery \(VisibleText(delivery.id))"]
        return parts.filter { !$0.isEmpty }.joined(separator: " · ") + "\n"
    }

    /// `not delivered: answered 500; it is tried again at 2026-07-01 15:04:05Z`, `not delivered: 10.0.0.1 is …; it is given up
    /// (refused)`.
    static func failure(_ delivery: DeliveryObject) -> String {
        let why = outcome(delivery).description
        let again = nextTry(delivery).description
        return "not delivered" + (why.isEmpty ? "" : ": \(why)")
            + (delivery.reason.map { "; it is given up (\(VisibleText($0)))" } ?? "")
            + (again.isEmpty ? "" : "; it is tried again at \(again)")
    }

    /// `delivered`, `dead: attempts exhausted`.
    static func state(_ delivery: DeliveryObject) -> VisibleText {
        VisibleText(delivery.state + (delivery.reason.map { ": \($0)" } ?? ""))
    }

    /// Of the last attempt; a status alone says as much as `answered 500` does.
    private static func outcome(_ delivery: DeliveryObject) -> VisibleText {
        VisibleText(delivery.outcome ?? delivery.status.map { "answered \($0)" } ?? "")
    }

    private static func nextTry(_ delivery: DeliveryObject) -> VisibleText {
        delivery.nextAttemptAt.map(Wording.moment) ?? VisibleText("")
    }
}
