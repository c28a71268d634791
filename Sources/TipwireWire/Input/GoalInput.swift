import TipwireCore

/// Reads what callers say of goals.
public enum GoalInput {
    /// `{description,amountInCents}`: a new goal.
    public static func addition(_ value: JSONValue, id: Goal.ID) throws(InvalidInput) -> GoalCommand {
        var reader = try ObjectReader(value)
        let description = readDescription(&reader)
        reader.require("description", description != nil)
        let amount = readAmount(&reader)
        reader.require("amountInCents", amount != nil)
        try reader.finish()
        return .add(id, description: description ?? "", amountInCents: amount ?? 0)
    }

    /// `{description?,amountInCents?}`.
    public static func edit(_ value: JSONValue, of id: Goal.ID) throws(InvalidInput) -> GoalCommand {
        var reader = try ObjectReader(value)
        let description = readDescription(&reader)
        let amount = readAmount(&reader)
        try reader.finish()
        return .edit(id, description: description, amountInCents: amount)
    }

    /// `{ids:[…]}`.
    public static func order(_ value: JSONValue) throws(InvalidInput) -> GoalCommand {
        var reader = try ObjectReader(value)
        let ids = reader.strings("ids")
        reader.require("ids", ids != nil)
        if let ids, ids.count > Limits.goals { reader.fail("ids", "must name at most \(Limits.goals) goals") }
        try reader.finish()
        return .reorder(ids ?? [])
    }

    /// `{amountInCents,reason}`.
    public static func adjustment(_ value: JSONValue, of id: Goal.ID) throws(InvalidInput) -> GoalCommand {
        var reader = try ObjectReader(value)
        let amount = reader.integer("amountInCents")
        reader.require("amountInCents", amount != nil)
        let most = Limits.goalAmountInCents.upperBound
        if let amount, !(-most...most).contains(amount) || amount == 0 {
            reader.fail("amountInCents", "must be from -\(most) to \(most), and not 0")
        }
        let reason = readText("reason", scalars: Limits.reasonScalars, &reader)
        reader.require("reason", reason != nil)
        try reader.finish()
        return .adjust(id, amountInCents: amount ?? 0, reason: reason ?? "")
    }

    private static func readDescription(_ reader: inout ObjectReader) -> String? {
        readText("description", scalars: Limits.goalDescriptionScalars, &reader)
    }

    private static func readText(_ name: String, scalars: Int, _ reader: inout ObjectReader) -> String? {
        guard let text = reader.string(name) else { return nil }
        if let problem = TextRules.problem(in: text, scalars: scalars, newlines: false) {
            reader.fail(name, problem)
        } else if TextRules.isBlank(text) {
            reader.fail(name, "must not be blank")
        }
        return text
    }

    private static func readAmount(_ reader: inout ObjectReader) -> Int? {
        guard let amount = reader.integer("amountInCents") else { return nil }
        let limits = Limits.goalAmountInCents
        if !limits.contains(amount) {
            reader.fail("amountInCents", "must be from \(limits.lowerBound) to \(limits.upperBound)")
        }
        return amount
    }
}
