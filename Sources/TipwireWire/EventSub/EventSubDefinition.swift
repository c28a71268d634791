import NIOCore
import TipwireCore

/// One type of EventSub: what it is told of, which conditions it offers, and the fields of its body.
///
/// One list of fields both encodes the body and describes it to clients (`getEventsubs`), so that the two can't differ.
public struct EventSubDefinition: Sendable {
    public let type: EventSubType
    /// Names of conditions and what they mean.
    public let conditions: [(name: String, meaning: String)]
    /// Names of the body's fields and what they mean.
    public let fields: [(name: String, meaning: String)]
    private let encode: @Sendable (EventBody, Page) -> ByteBuffer?

    /// The body for an event, nil for an event that this type doesn't tell of.
    public func body(of event: EventBody, page: Page) -> ByteBuffer? { encode(event, page) }

    /// - Parameter subject: what of an event the fields are about; nil for an event that this type doesn't tell of.
    fileprivate init<Subject>(
        _ type: EventSubType, conditions: [(name: String, meaning: String)] = [],
        subject: @escaping @Sendable (EventBody, Page) -> Subject?, fields: [Field<Subject>]
    ) {
        self.type = type
        self.conditions = conditions
        self.fields = fields.map { (String(describing: $0.name), $0.meaning) }
        encode = { event, page in
            guard let subject = subject(event, page) else { return nil }
            var writer = JSONWriter(capacity: 384)
            writer.beginObject()
            for field in fields {
                writer.key(field.name)
                field.write(subject, &writer)
            }
            writer.endObject()
            return writer.finish()
        }
    }

    fileprivate struct Field<Subject>: Sendable {
        let name: StaticString
        let meaning: String
        let write: @Sendable (Subject, inout JSONWriter) -> Void

        init(_ name: StaticString, _ meaning: String, _ write: @escaping @Sendable (Subject, inout JSONWriter) -> Void)
        {
            self.name = name
            self.meaning = meaning
            self.write = write
        }
    }

    /// The name of the one condition that there is.
    public static let minimumAmount = "minimum_amount"
}

// MARK: - The types

extension EventSubDefinition {
    /// Every type, in the order in which they are listed.
    public static let all = EventSubType.allCases.map(definition)

    public static func of(_ type: EventSubType) -> EventSubDefinition { byType[type]! }

    private static let byType = Dictionary(uniqueKeysWithValues: all.map { ($0.type, $0) })

    private static func definition(of type: EventSubType) -> EventSubDefinition {
        switch type {
        case .alerts: alerts
        case .goalsCompleted: goalsCompleted
        case .goalsChain: goalsChain
        case .goalsQueue: goalsQueue
        case .goalsProgress: goalsProgress
        }
    }

    private struct Alert {
        let tip: Tip
        let goal: GoalStanding?
        let isReplay: Bool
        let currency: Currency

        init?(_ event: EventBody, _ page: Page) {
            switch event {
            case .tipReceived(let tip, let goal):
                self.tip = tip
                self.goal = goal
                isReplay = false
            case .tipReplayed(let tip):
                self.tip = tip
                goal = nil
                isReplay = true
            default: return nil
            }
            currency = page.currency
        }
    }

    private static let alerts = EventSubDefinition(
        .alerts,
        conditions: [
            (
                minimumAmount,
                "Least amount of a tip, a decimal in the page's currency like 5.00; smaller tips are left out."
            )
        ],
        subject: { Alert($0, $1) },
        fields: [
            Field<Alert>("id", "The tip's id; the same in a replay.") { $1.value($0.tip.id.text) },
            Field<Alert>("kind", "What it is: donation.") { $1.value("donation") },
            Field<Alert>("nickname", "The tipper's name; empty for an anonymous tip.") { $1.value($0.tip.displayName) },
            Field<Alert>("message", "The tipper's message; empty for none.") { $1.value($0.tip.message) },
            Field<Alert>("amount", "The amount, a decimal string with the digits of the currency.") {
                $1.value($0.currency.decimal($0.tip.grossAmountInCents))
            },
            Field<Alert>("curr", "The currency's ISO 4217 code.") { $1.value($0.currency.code) },
            Field<Alert>("created_at", "When the tip was made, in Unix seconds.") {
                $1.value($0.tip.createdAt.unixSeconds)
            },
            Field<Alert>("anonymous", "Whether the tipper's name is hidden.") { $1.value($0.tip.isAnonymous) },
            Field<Alert>("goal_id", "The goal that was active when the tip came, or null.") { $1.value($0.goal?.id) },
            Field<Alert>("replay", "Whether this is a tip shown once more.") { $1.value($0.isReplay) },
        ])

    private static let goalsCompleted = EventSubDefinition(
        .goalsCompleted,
        subject: { event, _ -> GoalCompletion? in
            if case .goalCompleted(let completion) = event { completion } else { nil }
        },
        fields: [
            Field<GoalCompletion>("goal_id", "The completed goal.") { $1.value($0.goal) },
            Field<GoalCompletion>("goal_name", "Its description.") { $1.value($0.name) },
            Field<GoalCompletion>("goal_target", "Its amount, in minor units.") { $1.value($0.targetInCents) },
            Field<GoalCompletion>("overflow_amount", "What is left of the tip after it, in minor units.") {
                $1.value($0.overflowInCents)
            },
            Field<GoalCompletion>("next_goal", "The goal that comes next (id, description, amount, progress), or null.")
            {
                GoalObject.writeInEvent($0.next, to: &$1)
            },
            Field<GoalCompletion>("chain_index", "Its place among the goals that the tip completed, from 0.") {
                $1.value($0.chainIndex)
            },
            Field<GoalCompletion>("chain_total", "How many goals the tip completed.") { $1.value($0.chainTotal) },
        ])

    private static let goalsChain = EventSubDefinition(
        .goalsChain,
        subject: { event, _ -> GoalChain? in if case .goalsChained(let chain) = event { chain } else { nil } },
        fields: [
            Field<GoalChain>("tip_id", "The tip that completed two goals or more.") { $1.value($0.tip.text) },
            Field<GoalChain>("total_amount", "Its amount, in minor units.") { $1.value($0.totalInCents) },
            Field<GoalChain>("goals_completed", "How many goals it completed.") { $1.value($0.goals.count) },
            Field<GoalChain>("goal_ids", "These goals, in order.") { chain, writer in
                writer.beginArray()
                for goal in chain.goals { writer.value(goal) }
                writer.endArray()
            },
        ])

    private static let goalsQueue = EventSubDefinition(
        .goalsQueue,
        subject: { event, _ -> GoalQueueStatus? in
            if case .goalQueueChanged(let status, _) = event { status } else { nil }
        },
        fields: [
            Field<GoalQueueStatus>(
                "active_goal", "The goal that tips go to now (id, description, amount, progress), or null."
            ) { GoalObject.writeInEvent($0.active, to: &$1) },
            Field<GoalQueueStatus>("goal_count", "How many goals the page has, completed ones included.") {
                $1.value($0.goalCount)
            },
            Field<GoalQueueStatus>("completed_goal_count", "How many of them are completed.") {
                $1.value($0.completedGoalCount)
            },
        ])

    private struct Progress {
        let tip: TipIdentifier
        let goal: GoalStanding
    }

    private static let goalsProgress = EventSubDefinition(
        .goalsProgress,
        subject: { event, _ -> Progress? in
            if case .tipReceived(let tip, let standing?) = event { Progress(tip: tip.id, goal: standing) } else { nil }
        },
        fields: [
            Field<Progress>("tip_id", "The tip.") { $1.value($0.tip.text) },
            Field<Progress>("goal_id", "The goal that was active when it came.") { $1.value($0.goal.id) },
            Field<Progress>("goal_progress", "What the goal has after it, in minor units.") {
                $1.value($0.goal.progressInCents)
            },
            Field<Progress>("goal_target", "What the goal takes, in minor units.") { $1.value($0.goal.targetInCents) },
        ])
}
