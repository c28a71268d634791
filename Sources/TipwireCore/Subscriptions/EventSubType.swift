/// What an EventSub subscription can be told of.
public enum EventSubType: String, CaseIterable, Hashable, Sendable {
    /// A tip, or its replay.
    case alerts = "alerts.notifications"
    case goalsCompleted = "goals.completed"
    case goalsChain = "goals.chain"
    case goalsQueue = "goals.queue"
    /// What a tip did to the goal that was active when it came.
    case goalsProgress = "goals.progress"

    /// The one version that each type has.
    public static let version = "1"
}

/// What a subscription narrows its type by.
public struct EventSubCondition: Hashable, Sendable {
    /// Tips of less than this are left out. Minor units of the page's currency.
    public let minimumAmountInCents: Int
    /// The same as the caller wrote it, and is shown it: `5.00`.
    public let minimumAmount: String

    public init(minimumAmountInCents: Int, minimumAmount: String) {
        self.minimumAmountInCents = minimumAmountInCents
        self.minimumAmount = minimumAmount
    }

    /// Whether an event passes.
    public func admits(_ body: EventBody) -> Bool {
        switch body {
        case .tipReceived(let tip, _), .tipReplayed(let tip): tip.grossAmountInCents >= minimumAmountInCents
        case .tipRefunded, .goalCompleted, .goalsChained, .goalQueueChanged: true
        }
    }
}
