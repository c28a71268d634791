/// What the commands read of the answers about webhooks. Their members are EventSub's, and so are their times: Unix
/// seconds.
struct SubscriptionObject: Decodable {
    struct Transport: Decodable {
        let callback: String
        /// Only in the answer that makes it.
        let secret: String?
    }

    let id: String
    let page: String
    let type: String
    let condition: [String: String]?
    let transport: Transport
    let createdAt: Int
    /// `enabled` or `disabled`; perhaps more in a later version.
    let state: String
    let disabledReason: String?
    /// The key that it goes with; none if a browser made it.
    let keyID: String?
    /// Deliveries that wait for their first or next attempt.
    let pending: Int
    /// Deliveries that were given up.
    let dead: Int
    /// Since when the endpoint has only failed.
    let failingSince: Int?
    /// How the last attempt failed, as a sentence.
    let lastFailure: String?
    /// The earliest retry that waits.
    let nextAttemptAt: Int?
    /// Until when nothing is sent at all, since the endpoint failed too often.
    let pausedUntil: Int?
    /// Until when messages are signed with the secret before too.
    let previousSecretExpiresAt: Int?

    var isEnabled: Bool { state == "enabled" }

    private enum CodingKeys: String, CodingKey {
        case id = "connection_id"
        case page, type, condition, transport, state, pending, dead
        case keyID = "key_id"
        case createdAt = "created_at"
        case disabledReason = "disabled_reason"
        case failingSince = "failing_since"
        case lastFailure = "last_failure"
        case nextAttemptAt = "next_attempt_at"
        case pausedUntil = "paused_until"
        case previousSecretExpiresAt = "previous_secret_expires_at"
    }
}

/// The answer to a change of the secret.
struct RotationAnswer: Decodable {
    let secret: String
    /// Until when the secret before is signed with too.
    let previousExpiresAt: Int

    private enum CodingKeys: String, CodingKey {
        case secret
        case previousExpiresAt = "previous_expires_at"
    }
}

/// The answer to a retry of many.
struct RetryAnswer: Decodable {
    let retried: Int
    /// Of the subscription.
    let state: String
}

/// One event on its way to a webhook.
struct DeliveryObject: Decodable {
    struct Request: Decodable {
        let body: String
    }

    let id: String
    let type: String
    let createdAt: Int
    let attempts: Int
    /// `pending`, `delivered` or `dead`; perhaps more in a later version.
    let state: String
    /// The status of the last answer.
    let status: Int?
    let nextAttemptAt: Int?
    /// Why it is dead.
    let reason: String?
    /// How the last attempt ended, as a sentence.
    let outcome: String?
    /// Only in the answer about one delivery, and null there when the log no longer has the event.
    let request: Request?
    /// Every attempt, oldest first; only in the answer about one delivery.
    let log: [AttemptObject]?

    var isDelivered: Bool { state == "delivered" }

    /// Whether it waits for its subscription to be enabled.
    var isHeld: Bool { state == "pending" && nextAttemptAt == nil }

    /// Whether an attempt has ended, or none will be made.
    var isTried: Bool { state != "pending" || outcome != nil || status != nil }

    private enum CodingKeys: String, CodingKey {
        case id, type, attempts, state, status, reason, outcome, request, log
        case createdAt = "created_at"
        case nextAttemptAt = "next_attempt_at"
    }
}

struct AttemptObject: Decodable {
    let number: Int
    let beganAt: Int
    let durationMilliseconds: Int
    let outcome: String
    /// The beginning of the endpoint's answer.
    let answer: String?

    private enum CodingKeys: String, CodingKey {
        case number, outcome, answer
        case beganAt = "began_at"
        case durationMilliseconds = "duration_ms"
    }
}
