import TipwireCore

// MARK: - Receiving

extension LogAppender {
    /// What becomes of one draft.
    private enum Decision {
        case add(TipIdentifier)
        /// Answered as the call that made this tip.
        case repeats(TipRow)
        /// Answered as an earlier draft of the same command.
        case sameAs(Int)
    }

    mutating func receive(
        _ drafts: [TipDraft], key: TipIdentifier?, page: Page.ID
    ) throws -> Result<[LogAnswer], LogRefusal> {
        precondition(key == nil || drafts.count == 1, "an idempotency key goes with exactly one draft")
        if let key {
            if let row = try tables.tip(key: key, of: page) {
                guard row.tip.isRepeated(by: drafts[0], statedCreatedAt: row.statedCreatedAt) else {
                    return .failure(.conflict(index: 0, field: .idempotencyKey))
                }
                return .success([try firstAnswer(row, page)])
            }
            if try tables.correction(key, of: page) != nil {
                return .failure(.conflict(index: 0, field: .idempotencyKey))
            }
        }
        var answers: [LogAnswer] = []
        answers.reserveCapacity(drafts.count)
        switch try decide(drafts, page: page) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let decisions):
            for (draft, decision) in zip(drafts, decisions) {
                switch decision {
                case .add(let id):
                    answers.append(try add(draft, id: id, page: page))
                    if let key { try tables.insert(key: key, for: id, of: page) }
                case .repeats(let row):
                    answers.append(try firstAnswer(row, page))
                    if let key { try tables.insert(key: key, for: row.tip.id, of: page) }
                case .sameAs(let first):
                    answers.append(answers[first])
                }
            }
        }
        return .success(answers)
    }

    private func decide(_ drafts: [TipDraft], page: Page.ID) throws -> Result<[Decision], LogRefusal> {
        var decisions: [Decision] = []
        decisions.reserveCapacity(drafts.count)
        var firsts: [TipIdentifier: Int] = [:]
        var chance = Chance(draws: drafts.count * PublicID.orderedDraws)
        for (index, draft) in drafts.enumerated() {
            guard let id = draft.id else {
                decisions.append(.add(.new(at: time, by: &chance)))
                continue
            }
            if let first = firsts[id] {
                guard drafts[first].isRepeated(by: draft) else {
                    return .failure(.conflict(index: index, field: .tipID))
                }
                decisions.append(.sameAs(first))
                continue
            }
            firsts[id] = index
            if let row = try tables.tip(id, of: page) {
                guard row.tip.isRepeated(by: draft, statedCreatedAt: row.statedCreatedAt) else {
                    return .failure(.conflict(index: index, field: .tipID))
                }
                decisions.append(.repeats(row))
            } else {
                decisions.append(.add(id))
            }
        }
        return .success(decisions)
    }

    private mutating func add(_ draft: TipDraft, id: TipIdentifier, page: Page.ID) throws -> LogAnswer {
        let tip = Tip(draft, id: id, committedAt: time)
        let reception = pages[page]!.reducer.receive(tip)
        let events = try append(reception.events, to: page)
        let row = TipRow(
            tip: tip, statedCreatedAt: draft.createdAt, sequences: events[0].sequence...log.head, refundSequences: nil,
            creditsText: GoalCredits.encode(reception.credits))
        try tables.insert(row, of: page)
        return answer(.tip(tip), page, events)
    }

    private mutating func firstAnswer(_ row: TipRow, _ page: Page.ID) throws -> LogAnswer {
        var tip = row.tip
        tip.refundedAt = nil
        return try repeatedAnswer(.tip(tip), page, row.sequences)
    }
}
