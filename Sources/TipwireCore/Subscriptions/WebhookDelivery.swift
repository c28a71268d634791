/// The number of a webhook in the store; never used again for another one.
public struct WebhookNumber: Hashable, Comparable, Sendable, RawRepresentable {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }

    public static func < (a: WebhookNumber, b: WebhookNumber) -> Bool { a.rawValue < b.rawValue }
}

/// Names one delivery: one event of the log, or one test, to one webhook.
///
/// The deliveries of a webhook rise in the order in which they were made, which is that of their first attempts.
public struct DeliveryID: Hashable, Comparable, Sendable {
    public let webhook: WebhookNumber
    /// The event's; of a test that of the last event before it.
    public let sequence: Int64
    /// 0 for an event. Counts the tests between this event and the next from 1.
    public let test: Int

    public init(webhook: WebhookNumber, sequence: Int64, test: Int = 0) {
        self.webhook = webhook
        self.sequence = sequence
        self.test = test
    }

    public var isTest: Bool { test > 0 }

    public static func < (a: DeliveryID, b: DeliveryID) -> Bool {
        (a.webhook, a.sequence, a.test) < (b.webhook, b.sequence, b.test)
    }
}

/// Why a delivery isn't tried again by itself. Stored, so names are added and never changed.
public enum DeadLetterReason: String, Hashable, Sendable, CaseIterable {
    /// Every attempt of the schedule failed.
    case attemptsExhausted = "attempts exhausted"
    /// The callback leads where it may not.
    case refused
    /// The endpoint had too many deliveries waiting, and this was the oldest.
    case tooManyPending = "too many pending"
    /// Retention removed the event before the endpoint took it.
    case expired = "no longer in the log"

    /// A name for counting, in the alphabet of metric labels.
    public var code: String {
        switch self {
        case .attemptsExhausted: "attempts_exhausted"
        case .refused: "refused"
        case .tooManyPending: "too_many_pending"
        case .expired: "expired"
        }
    }
}

/// Why nothing is sent to a webhook. Stored, so names are added and never changed.
public enum DisabledReason: String, Hashable, Sendable, CaseIterable {
    case owner = "disabled by its owner"
    /// The endpoint wants nothing any more.
    case gone = "the endpoint answered 410"
    case hopeless = "the endpoint only failed for five days"
    case keyRevoked = "key revoked"
    case keyExpired = "key expired"
    /// The account it belongs to isn't a member of the page any more.
    case noAccess = "no access to the page any more"
}
