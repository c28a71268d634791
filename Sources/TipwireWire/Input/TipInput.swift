import TipwireCore

/// Reads tips from the JSON that callers send.
public enum TipInput {
    /// One tip: checked, with its defaults.
    public static func draft(_ value: JSONValue, now: Timestamp) throws(InvalidInput) -> TipDraft {
        var reader = try ObjectReader(value)
        var fields = TipFields(grossAmountInCents: 0)
        fields.id = reader.string("id")
        fields.displayName = reader.string("displayName")
        let gross = reader.integer("grossAmountInCents")
        reader.require("grossAmountInCents", gross != nil)
        fields.processingFeeInCents = reader.integer("processingFeeInCents")
        fields.message = reader.string("message")
        fields.isAnonymous = reader.bool("isAnonymous")
        fields.createdAt = reader.timestamp("createdAt")
        // With no amount of its own the tip is checked with a permitted one, so that its other members are judged too
        // and the missing amount is named once.
        fields.grossAmountInCents = gross ?? Limits.grossAmountInCents.upperBound
        var draft: TipDraft?
        do {
            draft = try TipDraft(validating: fields, now: now)
        } catch {
            reader.merge(error)
        }
        try reader.finish()
        guard let draft else { preconditionFailure("a refused draft leaves an error behind") }
        return draft
    }

    /// A tip that nobody gave, to try alerts with: what is left out has a value that shows something.
    public static func testDraft(_ value: JSONValue, now: Timestamp) throws(InvalidInput) -> TipDraft {
        var reader = try ObjectReader(value)
        var fields = TipFields(grossAmountInCents: reader.integer("grossAmountInCents") ?? 500)
        fields.displayName = reader.string("displayName") ?? "Ada"
        fields.message = reader.string("message") ?? "This is a test alert."
        var draft: TipDraft?
        do {
            draft = try TipDraft(validating: fields, now: now)
        } catch {
            reader.merge(error)
        }
        try reader.finish()
        guard let draft else { preconditionFailure("a refused draft leaves an error behind") }
        return draft
    }

    /// `{"tips":[…]}`: all of them, or an error that names each bad field as `tips/<index>/<name>`.
    public static func batch(_ value: JSONValue, now: Timestamp) throws(InvalidInput) -> [TipDraft] {
        var reader = try ObjectReader(value)
        let list = reader.value("tips")
        reader.require("tips", list != nil)
        var drafts: [TipDraft] = []
        if case .array(let tips)? = list {
            if !(1...Limits.batchTips).contains(tips.count) {
                reader.fail("tips", "must hold 1 to \(Limits.batchTips) tips, not \(tips.count)")
            } else {
                drafts.reserveCapacity(tips.count)
                for (index, tip) in tips.enumerated() {
                    if reader.isFull { break }
                    do {
                        drafts.append(try draft(tip, now: now))
                    } catch {
                        reader.merge(error.under("tips/\(index)"))
                    }
                }
            }
        } else if list != nil {
            reader.fail("tips", "must be a list of tips")
        }
        try reader.finish()
        return drafts
    }
}
