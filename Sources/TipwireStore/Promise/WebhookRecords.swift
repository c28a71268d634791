import TipwireCore

/// A webhook as the store keeps it.
public struct StoredWebhook: Hashable, Sendable {
    public let number: WebhookNumber
    public let subscription: EventSubscription
    public let callback: String
    /// The one that holds first, then those that have not expired yet.
    public let secrets: [StoredSecret]
    /// Everything up to here that is its business has a delivery; nil: it is level (`WebhookSnapshot.level`).
    public let position: Int64?
    /// Nil while it is enabled.
    public let disabled: DisabledReason?
    /// Since when it has only failed.
    public let failingSince: Timestamp?

    public init(
        number: WebhookNumber, subscription: EventSubscription, callback: String, secrets: [StoredSecret],
        position: Int64?, disabled: DisabledReason? = nil, failingSince: Timestamp? = nil
    ) {
        self.number = number
        self.subscription = subscription
        self.callback = callback
        self.secrets = secrets
        self.position = position
        self.disabled = disabled
        self.failingSince = failingSince
    }
}

/// A secret on its way to and from the store. Whoever signs with it makes more of it; here it is a text that no log
/// shows.
public struct StoredSecret: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    public let text: String
    /// Signed with until then; nil for the one that holds.
    public let expiresAt: Timestamp?

    public init(_ text: String, expiresAt: Timestamp? = nil) {
        self.text = text
        self.expiresAt = expiresAt
    }

    public var description: String { "whsec_…" }
    public var customMirror: Mirror { Mirror(self, children: ["expiresAt": expiresAt as Any]) }
}

/// All webhooks at one moment.
public struct WebhookSnapshot: Sendable {
    /// What the log has been read through for all that have no position of their own.
    public let level: Int64
    public let webhooks: [(webhook: StoredWebhook, backlog: WebhookBacklog)]

    public init(level: Int64, webhooks: [(webhook: StoredWebhook, backlog: WebhookBacklog)]) {
        self.level = level
        self.webhooks = webhooks
    }
}

/// What waits for one webhook.
public struct WebhookBacklog: Hashable, Sendable {
    /// All pending deliveries.
    public var pending: Int
    /// Those without an attempt among them.
    public var firsts: Int
    /// When the earliest of the others is due.
    public var earliestRetry: Timestamp?

    public init(pending: Int = 0, firsts: Int = 0, earliestRetry: Timestamp? = nil) {
        self.pending = pending
        self.firsts = firsts
        self.earliestRetry = earliestRetry
    }
}

/// A stretch of the log, turned into deliveries.
public struct WebhookDispatch: Sendable {
    public struct Delivery: Hashable, Sendable {
        public let id: DeliveryID
        /// The event's time.
        public let createdAt: Timestamp

        public init(id: DeliveryID, createdAt: Timestamp) {
            self.id = id
            self.createdAt = createdAt
        }
    }

    public var level: Int64
    /// In the order of their first attempts.
    public var deliveries: [Delivery] = []
    /// New positions of those that aren't level; nil: from now on they are.
    public var positions: [WebhookNumber: Int64?] = [:]
    /// How many more of a webhook's deliveries may be pending, less than none if there are too many already. If some are new, as
    /// many of the oldest pending ones are given up as they are more than this; without a number here, none.
    public var room: [WebhookNumber: Int] = [:]

    public init(level: Int64) { self.level = level }

    /// How many of `deliveries` are each webhook's.
    package var counts: [WebhookNumber: Int] {
        deliveries.reduce(into: [:]) { $0[$1.id.webhook, default: 0] += 1 }
    }

    /// How many are given up where so many were new: what was there already takes no more than before.
    package func excess(of added: [WebhookNumber: Int]) -> [WebhookNumber: Int] {
        added.reduce(into: [:]) { excess, added in
            guard let room = room[added.key], added.value > room else { return }
            excess[added.key] = added.value - room
        }
    }

    /// What came of it.
    public struct Outcome: Equatable, Sendable {
        /// How many deliveries of each webhook are new; those that were there already don't count.
        public let added: [WebhookNumber: Int]
        /// Pending deliveries that were made dead letters to make room.
        public let displaced: [DeliveryID]

        public init(added: [WebhookNumber: Int], displaced: [DeliveryID]) {
            self.added = added
            self.displaced = displaced
        }
    }
}

/// Where a delivery is in its life.
public enum DeliveryState: Hashable, Sendable {
    /// Waits for its first attempt, in its webhook's order.
    case first
    /// Waits for another attempt.
    case retry(due: Timestamp)
    case delivered
    case dead(DeadLetterReason)

    public var kind: DeliveryKind {
        switch self {
        case .first, .retry: .pending
        case .delivered: .delivered
        case .dead: .dead
        }
    }

    public var isPending: Bool { kind == .pending }
}

/// The names by which deliveries are picked out.
public enum DeliveryKind: String, CaseIterable, Sendable {
    case pending, delivered, dead
}

/// A delivery as the store keeps it.
public struct StoredDelivery: Hashable, Sendable {
    public let id: DeliveryID
    public let createdAt: Timestamp
    public let state: DeliveryState
    /// Attempts in all.
    public let attempts: Int
    /// Attempts since it was last put back to the beginning of the schedule.
    public let round: Int
    public let last: StoredAttempt?
    /// Of a test: the id of its message.
    public let testID: String?

    public init(
        id: DeliveryID, createdAt: Timestamp, state: DeliveryState, attempts: Int, round: Int, last: StoredAttempt?,
        testID: String?
    ) {
        self.id = id
        self.createdAt = createdAt
        self.state = state
        self.attempts = attempts
        self.round = round
        self.last = last
        self.testID = testID
    }
}

/// An attempt as the store keeps it.
public struct StoredAttempt: Hashable, Sendable {
    /// From 1, over all rounds.
    public let number: Int
    public let began: Timestamp
    /// Milliseconds.
    public let duration: Int64
    /// The HTTP status, if one came.
    public let status: Int?
    /// What happened, as a name that never changes.
    public let code: String
    /// What happened, as a sentence.
    public let outcome: String
    /// The address that was connected to.
    public let address: String?
    /// The beginning of the answer's body. It holds no NUL, which a database takes for the end of a text, or refuses.
    public let answer: String

    public init(
        number: Int, began: Timestamp, duration: Int64, status: Int?, code: String, outcome: String, address: String?,
        answer: String
    ) {
        self.number = number
        self.began = began
        self.duration = duration
        self.status = status
        self.code = code
        self.outcome = outcome
        self.address = address
        self.answer = answer
    }
}

/// An attempt that was made, and what follows from it.
public struct DeliveryProgress: Hashable, Sendable {
    public let id: DeliveryID
    /// Nil when none was made: the event is gone.
    public let attempt: StoredAttempt?
    public let round: Int
    /// Delivered, to be tried again, or dead.
    public let state: DeliveryState

    public init(id: DeliveryID, attempt: StoredAttempt?, round: Int, state: DeliveryState) {
        self.id = id
        self.attempt = attempt
        self.round = round
        self.state = state
    }
}

/// What attempts have shown of an endpoint.
public struct EndpointStanding: Hashable, Sendable {
    public var failingSince: Timestamp?
    /// Set when the endpoint is to be disabled for what it did.
    public var disabled: DisabledReason?

    public init(failingSince: Timestamp?, disabled: DisabledReason? = nil) {
        self.failingSince = failingSince
        self.disabled = disabled
    }
}

/// Which deliveries are tried again by hand.
public struct RetrySelection: Hashable, Sendable {
    /// Nil: of every state.
    public var kind: DeliveryKind?
    /// Those whose last attempt was answered with this status.
    public var status: Int?
    /// Made at or after this.
    public var from: Timestamp?
    /// Made before this.
    public var to: Timestamp?

    public init(kind: DeliveryKind?, status: Int? = nil, from: Timestamp? = nil, to: Timestamp? = nil) {
        self.kind = kind
        self.status = status
        self.from = from
        self.to = to
    }
}

/// One of a tip's events on its way to one webhook, as the tip shows it.
public struct TipDelivery: Hashable, Sendable {
    public let sequence: Int64
    /// The webhook's id.
    public let subscription: String
    public let callback: String
    /// `pending`, `delivered` or `dead`.
    public let state: String
    public let attempts: Int
    public let createdAt: Timestamp

    public init(
        sequence: Int64, subscription: String, callback: String, state: String, attempts: Int, createdAt: Timestamp
    ) {
        self.sequence = sequence
        self.subscription = subscription
        self.callback = callback
        self.state = state
        self.attempts = attempts
        self.createdAt = createdAt
    }
}
