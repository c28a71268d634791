/// One entry of the log. Entries are never changed, and are removed only by retention or with their page.
public struct Event: Hashable, Sendable {
    public let sequence: Int64
    public let page: Page.ID
    /// The time of the commit; never before that of an earlier entry.
    public let time: Timestamp
    public let body: EventBody

    public init(sequence: Int64, page: Page.ID, time: Timestamp, body: EventBody) {
        self.sequence = sequence
        self.page = page
        self.time = time
        self.body = body
    }
}

/// What happened.
public enum EventBody: Hashable, Sendable {
    case tipReceived(Tip, goal: GoalStanding?)
    case tipReplayed(Tip)
    case tipRefunded(Tip)
    case goalCompleted(GoalCompletion)
    case goalsChained(GoalChain)
    case goalQueueChanged(GoalQueueStatus, GoalChange)

    public var kind: EventKind {
        switch self {
        case .tipReceived: .tipReceived
        case .tipReplayed: .tipReplayed
        case .tipRefunded: .tipRefunded
        case .goalCompleted: .goalCompleted
        case .goalsChained: .goalsChained
        case .goalQueueChanged: .goalQueueChanged
        }
    }
}

/// The names of events in the log and in the API. Names are added, never changed.
public enum EventKind: String, CaseIterable, Sendable {
    case tipReceived = "tip.received"
    case tipReplayed = "tip.replayed"
    case tipRefunded = "tip.refunded"
    case goalCompleted = "goal.completed"
    case goalsChained = "goal.chain"
    case goalQueueChanged = "goal.queue"
}
