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

    public var kind: EventKind {
        switch self {
        case .tipReceived: .tipReceived
        case .tipReplayed: .tipReplayed
        }
    }
}

/// The names of events in the log and in the API. Names are added, never changed.
public enum EventKind: String, CaseIterable, Sendable {
    case tipReceived = "tip.received"
    case tipReplayed = "tip.replayed"
}

/// A goal as it stood after a tip.
public struct GoalStanding: Hashable, Sendable {
    public let id: String
    public let progressInCents: Int
    public let targetInCents: Int

    public init(id: String, progressInCents: Int, targetInCents: Int) {
        self.id = id
        self.progressInCents = progressInCents
        self.targetInCents = targetInCents
    }
}
