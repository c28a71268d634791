import TipwireCore

/// `change` of a `goal.queue` event: why the queue changed, complete enough to repeat it.
enum GoalChangeObject {
    /// `{kind,goalId?,description?,amountInCents?,order?,tipId?,reason?,surplusInCents?,taken?}`.
    static func write(_ change: GoalChange, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("kind", change.kind.rawValue)
        switch change {
        case .tip(let tip, let surplus):
            writer.member("tipId", tip.text)
            if surplus > 0 { writer.member("surplusInCents", surplus) }
        case .added(let id, let description, let amount):
            writer.member("goalId", id)
            writer.member("description", description)
            writer.member("amountInCents", amount)
        case .edited(let id, let description, let amount, let surplus):
            writer.member("goalId", id)
            if let description { writer.member("description", description) }
            if let amount { writer.member("amountInCents", amount) }
            if surplus > 0 { writer.member("surplusInCents", surplus) }
        case .removed(let id):
            writer.member("goalId", id)
        case .reordered(let order):
            writer.key("order")
            writer.beginArray()
            for id in order { writer.value(id) }
            writer.endArray()
        case .adjusted(let id, let amount, let reason):
            writer.member("goalId", id)
            writer.member("amountInCents", amount)
            writer.member("reason", reason)
        case .refunded(let tip, let taken):
            writer.member("tipId", tip.text)
            writer.key("taken")
            writer.beginArray()
            for credit in taken {
                writer.beginObject()
                writer.member("goalId", credit.goal)
                writer.member("amountInCents", credit.amountInCents)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    static func read(_ members: StoredMembers) throws -> GoalChange {
        guard let kind = GoalChange.Kind(rawValue: try members.string("kind")) else { throw members.damaged("kind") }
        switch kind {
        case .tip:
            return .tip(try members.tipID("tipId"), surplusInCents: try members.optionalInteger("surplusInCents") ?? 0)
        case .added:
            return .added(
                try members.string("goalId"), description: try members.string("description"),
                amountInCents: try amount(members))
        case .edited:
            return .edited(
                try members.string("goalId"), description: try members.optionalString("description"),
                amountInCents: try members.isAbsent("amountInCents") ? nil : amount(members),
                surplusInCents: try members.optionalInteger("surplusInCents") ?? 0)
        case .removed: return .removed(try members.string("goalId"))
        case .reordered: return .reordered(try members.strings("order"))
        case .adjusted:
            return .adjusted(
                try members.string("goalId"),
                amountInCents: try members.integer("amountInCents", in: -mostCents...mostCents),
                reason: try members.string("reason"))
        case .refunded:
            let taken = try members.objects("taken").map {
                GoalCredit(
                    goal: try $0.string("goalId"),
                    amountInCents: try $0.integer("amountInCents", in: Limits.grossAmountInCents))
            }
            return .refunded(try members.tipID("tipId"), taken: taken)
        }
    }

    private static let mostCents = Limits.goalAmountInCents.upperBound

    /// A goal's amount. One that no goal can have must not get as far as a goal: the log may have been damaged.
    private static func amount(_ members: StoredMembers) throws -> Int {
        try members.integer("amountInCents", in: Limits.goalAmountInCents)
    }
}
