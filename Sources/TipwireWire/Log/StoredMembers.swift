import TipwireCore

/// Members of one stored event, each of the type that was written or an error that names it.
struct StoredMembers {
    let kind: EventKind
    let members: JSONObject

    // MARK: What events hold

    func tip() throws -> Tip {
        Tip(
            id: try tipID("id"), displayName: try string("displayName"), message: try string("message"),
            grossAmountInCents: try integer("grossAmountInCents", in: Limits.grossAmountInCents),
            processingFeeInCents: try integer("processingFeeInCents"), isAnonymous: try bool("isAnonymous"),
            createdAt: try time("createdAt"), processedAt: try time("processedAt"),
            refundedAt: members["refundedAt"] == .null ? nil : try time("refundedAt"))
    }

    func standing() throws -> GoalStanding? {
        guard let id = try optionalString("goalId") else { return nil }
        return GoalStanding(
            id: id, progressInCents: try integer("goalProgress"), targetInCents: try integer("goalTarget"))
    }

    func completion() throws -> GoalCompletion {
        GoalCompletion(
            goal: try string("goalId"), name: try string("goalName"), targetInCents: try integer("goalTarget"),
            overflowInCents: try integer("overflowAmount"), next: try goal("nextGoal"),
            chainIndex: try integer("chainIndex"), chainTotal: try integer("chainTotal"))
    }

    func chain() throws -> GoalChain {
        GoalChain(tip: try tipID("tipId"), totalInCents: try integer("totalAmount"), goals: try strings("goalIds"))
    }

    func status() throws -> GoalQueueStatus {
        GoalQueueStatus(
            active: try goal("activeGoal"), goalCount: try integer("goalCount"),
            completedGoalCount: try integer("completedGoalCount"))
    }

    private func goal(_ name: String) throws -> Goal? {
        if members[name] == .null { return nil }
        let members = try object(name)
        let amount = try members.integer("amount")
        let progress = try members.integer("progress")
        guard amount > 0, (0...amount).contains(progress) else { throw damaged(name) }
        return Goal(
            id: try members.string("id"), description: try members.string("description"), amountInCents: amount,
            progressInCents: progress)
    }

    // MARK: Types

    func tipID(_ name: String) throws -> TipIdentifier {
        guard let id = TipIdentifier(try string(name)) else { throw damaged(name) }
        return id
    }

    func string(_ name: String) throws -> String {
        guard case .string(let text)? = members[name] else { throw damaged(name) }
        return text
    }

    /// Nil when absent or `null`.
    func optionalString(_ name: String) throws -> String? {
        try isAbsent(name) ? nil : string(name)
    }

    func strings(_ name: String) throws -> [String] {
        try values(name).map { value in
            guard case .string(let text) = value else { throw damaged(name) }
            return text
        }
    }

    func integer(_ name: String) throws -> Int {
        guard case .number(let number)? = members[name], let value = number.integer else { throw damaged(name) }
        return value
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int {
        let value = try integer(name)
        guard range.contains(value) else { throw damaged(name) }
        return value
    }

    func optionalInteger(_ name: String) throws -> Int? {
        try isAbsent(name) ? nil : integer(name)
    }

    func object(_ name: String) throws -> StoredMembers {
        guard case .object(let object)? = members[name] else { throw damaged(name) }
        return StoredMembers(kind: kind, members: object)
    }

    func objects(_ name: String) throws -> [StoredMembers] {
        try values(name).map { value in
            guard case .object(let object) = value else { throw damaged(name) }
            return StoredMembers(kind: kind, members: object)
        }
    }

    private func values(_ name: String) throws -> [JSONValue] {
        guard case .array(let values)? = members[name] else { throw damaged(name) }
        return values
    }

    private func bool(_ name: String) throws -> Bool {
        guard case .bool(let value)? = members[name] else { throw damaged(name) }
        return value
    }

    private func time(_ name: String) throws -> Timestamp {
        guard let time = Timestamp(rfc3339: try string(name)) else { throw damaged(name) }
        return time
    }

    func isAbsent(_ name: String) -> Bool { members[name] == nil || members[name] == .null }

    func damaged(_ name: String) -> EventDataError {
        EventDataError(kind: kind.rawValue, problem: "member '\(name)' is missing, of another type or out of range")
    }
}
