import TipwireCore

// MARK: - Refunds

extension LogAppender {
    mutating func refund(
        _ id: TipIdentifier, key: TipIdentifier?, page: Page.ID
    ) throws -> Result<[LogAnswer], LogRefusal> {
        guard var row = try tables.tip(id, of: page) else { return .failure(.unknownTip) }
        if let key {
            switch try meaning(of: key, page: page) {
            case .nothing: try tables.insert(.refund(id), key: key, of: page)
            case .correction(.refund(id)): break
            case .correction, .tip: return .failure(.conflict(index: 0, field: .idempotencyKey))
            }
        }
        if let sequences = row.refundSequences {
            return .success([try repeatedAnswer(.tip(row.tip), page, sequences)])
        }
        row.tip.refundedAt = time
        let events = try append(pages[page]!.reducer.refund(row.tip, credits: try row.credits()), to: page)
        row.refundSequences = events[0].sequence...log.head
        try tables.refund(row, of: page)
        return .success([answer(.tip(row.tip), page, events)])
    }

    private enum KeyMeaning {
        case nothing
        case tip
        case correction(CorrectionRow)
    }

    /// What a page's idempotency key stands for: tips and corrections share them.
    private func meaning(of key: TipIdentifier, page: Page.ID) throws -> KeyMeaning {
        if let correction = try tables.correction(key, of: page) { return .correction(correction) }
        return try tables.tip(key: key, of: page) == nil ? .nothing : .tip
    }
}

// MARK: - Goals

extension LogAppender {
    mutating func changeGoals(
        _ command: GoalCommand, key: TipIdentifier?, page: Page.ID
    ) throws -> Result<[LogAnswer], LogRefusal> {
        if let key {
            switch try meaning(of: key, page: page) {
            case .nothing: break
            case .correction(.adjustment(let adjustment)) where adjustment.isRepeated(by: command):
                return .success([try repeatedAnswer(.goal(adjustment.answer), page, adjustment.sequences)])
            case .correction, .tip: return .failure(.conflict(index: 0, field: .idempotencyKey))
            }
        }
        let bodies: [EventBody]
        do {
            bodies = try pages[page]!.reducer.change(command)
        } catch {
            return .failure(.goal(error))
        }
        let events = try append(bodies, to: page)
        let queue = pages[page]!.reducer.queue
        switch command {
        case .remove, .reorder:
            precondition(key == nil, "an idempotency key goes with an adjustment")
            return .success([answer(.goals(queue.listed), page, events)])
        case .add(let id, _, _), .edit(let id, _, _), .adjust(let id, _, _):
            let goal = queue.listed(id)!
            if let key {
                guard case .adjust(_, let amount, let reason) = command else {
                    preconditionFailure("an idempotency key goes with an adjustment")
                }
                let adjustment = CorrectionRow.Adjustment(
                    goal: id, amountInCents: amount, reason: reason, answer: goal,
                    sequences: events[0].sequence...events[events.count - 1].sequence)
                try tables.insert(.adjustment(adjustment), key: key, of: page)
            }
            return .success([answer(.goal(goal), page, events)])
        }
    }
}
