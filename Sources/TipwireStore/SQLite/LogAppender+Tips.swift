import GRDB
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
            if let row = try tip(key: key, of: page) {
                guard row.tip.isRepeated(by: drafts[0], statedCreatedAt: row.statedCreatedAt) else {
                    return .failure(.conflict(index: 0, field: .idempotencyKey))
                }
                return .success([try firstAnswer(row, page)])
            }
            if try CorrectionRow.find(key, of: page, db) != nil {
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
                    if let key { try remember(key, tip: id, page: page) }
                case .repeats(let row):
                    answers.append(try firstAnswer(row, page))
                    if let key { try remember(key, tip: row.tip.id, page: page) }
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
        for (index, draft) in drafts.enumerated() {
            guard let id = draft.id else {
                decisions.append(.add(.random()))
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
            if let row = try tip(id, of: page) {
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
        try insertTip.run { [head = log.head] in
            $0.put(page.rawValue)
            $0.put(id.text)
            $0.put(tip.displayName)
            $0.put(tip.message)
            $0.put(tip.grossAmountInCents)
            $0.put(tip.processingFeeInCents)
            $0.put(tip.isAnonymous)
            $0.put(draft.createdAt?.milliseconds)
            $0.put(tip.createdAt.milliseconds)
            $0.put(tip.processedAt.milliseconds)
            $0.put(events[0].sequence)
            $0.put(head)
            $0.put(GoalCredits.encode(reception.credits))
        }
        return answer(.tip(tip), page, events)
    }

    private func firstAnswer(_ row: TipRow, _ page: Page.ID) throws -> LogAnswer {
        var tip = row.tip
        tip.refundedAt = nil
        return try repeatedAnswer(.tip(tip), page, row.sequences)
    }

    private func remember(_ key: TipIdentifier, tip: TipIdentifier, page: Page.ID) throws {
        try db.cachedStatement(sql: "INSERT INTO idempotency (page_id, key, tip_id) VALUES (?, ?, ?)")
            .execute(arguments: [page.rawValue, key.text, tip.text])
    }
}
