import TipwireCore

/// Goals in JSON: as the API lists them, and as events name the one that is active or comes next.
public enum GoalObject {
    /// `{id,description,amountInCents,progressInCents,state}`.
    public static func write(_ listed: ListedGoal, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", listed.goal.id)
        writer.member("description", listed.goal.description)
        writer.member("amountInCents", listed.goal.amountInCents)
        writer.member("progressInCents", listed.goal.progressInCents)
        writer.member("state", listed.state.rawValue)
        writer.endObject()
    }

    /// `{id,description,amount,progress}`, or `null`: the Event Hook's form.
    static func writeInEvent(_ goal: Goal?, to writer: inout JSONWriter) {
        guard let goal else { return writer.null() }
        writer.beginObject()
        writer.member("id", goal.id)
        writer.member("description", goal.description)
        writer.member("amount", goal.amountInCents)
        writer.member("progress", goal.progressInCents)
        writer.endObject()
    }
}

/// The members that an event about goals has in the log, in the API and on the Event Hook alike.
enum GoalEventMembers {
    static func write(_ completion: GoalCompletion, to writer: inout JSONWriter) {
        writer.member("goalId", completion.goal)
        writer.member("goalName", completion.name)
        writer.member("goalTarget", completion.targetInCents)
        writer.member("overflowAmount", completion.overflowInCents)
        writer.key("nextGoal")
        GoalObject.writeInEvent(completion.next, to: &writer)
        writer.member("chainIndex", completion.chainIndex)
        writer.member("chainTotal", completion.chainTotal)
    }

    static func write(_ chain: GoalChain, to writer: inout JSONWriter) {
        writer.member("tipId", chain.tip.text)
        writer.member("totalAmount", chain.totalInCents)
        writer.member("goalsCompleted", chain.goals.count)
        writer.key("goalIds")
        writer.beginArray()
        for goal in chain.goals { writer.value(goal) }
        writer.endArray()
    }

    static func write(_ status: GoalQueueStatus, to writer: inout JSONWriter) {
        writer.key("activeGoal")
        GoalObject.writeInEvent(status.active, to: &writer)
        writer.member("goalCount", status.goalCount)
        writer.member("completedGoalCount", status.completedGoalCount)
    }

    /// `goalId`, `goalProgress` and `goalTarget`, all `null` when no goal was active.
    static func write(_ standing: GoalStanding?, to writer: inout JSONWriter) {
        writer.member("goalId", standing?.id)
        writer.member("goalProgress", standing?.progressInCents)
        writer.member("goalTarget", standing?.targetInCents)
    }
}
