import GRDB
import TipwireCore

extension CorrectionRow {
    static func find(_ key: TipIdentifier, of page: Page.ID, _ db: Database) throws -> CorrectionRow? {
        let statement = try db.cachedStatement(
            sql: """
                SELECT tip_id, goal_id, adjustment, reason, description, amount, progress, goal_state, first_sequence,
                    last_sequence
                FROM corrections WHERE page_id = ? AND key = ?
                """)
        guard let row = try Row.fetchOne(statement, arguments: [page.rawValue, key.text]) else { return nil }
        if let tip = (row[0] as String?).flatMap(TipIdentifier.init) { return .refund(tip) }
        guard let goal = row[1] as String?, let state = (row[7] as String?).flatMap(Goal.State.init) else {
            throw DamagedRow(table: "corrections", problem: "neither a refund nor an adjustment")
        }
        return .adjustment(
            Adjustment(
                goal: goal, amountInCents: row[2], reason: row[3],
                answer: ListedGoal(
                    Goal(id: goal, description: row[4], amountInCents: row[5], progressInCents: row[6]), state),
                sequences: row[8]...row[9]))
    }

    func insert(key: TipIdentifier, page: Page.ID, _ db: Database) throws {
        switch self {
        case .refund(let tip):
            try db.cachedStatement(sql: "INSERT INTO corrections (page_id, key, tip_id) VALUES (?, ?, ?)")
                .execute(arguments: [page.rawValue, key.text, tip.text])
        case .adjustment(let adjustment):
            let goal = adjustment.answer.goal
            try db.cachedStatement(
                sql: """
                    INSERT INTO corrections (page_id, key, goal_id, adjustment, reason, description, amount, progress,
                        goal_state, first_sequence, last_sequence)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                page.rawValue, key.text, adjustment.goal, adjustment.amountInCents, adjustment.reason,
                goal.description, goal.amountInCents, goal.progressInCents, adjustment.answer.state.rawValue,
                adjustment.sequences.lowerBound, adjustment.sequences.upperBound,
            ])
        }
    }
}
