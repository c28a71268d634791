import GRDB
public import TipwireCore

extension SQLiteStore {
    public func tips(
        page: Page.ID, before: Int64?, limit: Int, matching filter: TipFilter
    ) async throws -> [StoredTip] {
        try await read { db in
            var conditions = "page_id = ? AND last_sequence < ?"
            var arguments: StatementArguments = [page.rawValue, before ?? .max]
            if let text = filter.text {
                // Both are text of other people: what LIKE takes for a sign of its own means itself here.
                let pattern = text.reduce(into: "") { pattern, character in
                    if "%_\\".contains(character) { pattern.append("\\") }
                    pattern.append(character)
                }
                conditions += " AND (display_name LIKE ? ESCAPE '\\' OR message LIKE ? ESCAPE '\\')"
                arguments += ["%\(pattern)%", "%\(pattern)%"]
            }
            if let amount = filter.minimumAmountInCents {
                conditions += " AND gross >= ?"
                arguments += [amount]
            }
            let statement = try db.cachedStatement(
                sql: """
                    SELECT \(TipRow.columns) FROM tips WHERE \(conditions) ORDER BY last_sequence DESC LIMIT ?
                    """)
            return try Row.fetchAll(statement, arguments: arguments + [limit]).map { try TipRow($0).stored }
        }
    }

    public func tip(page: Page.ID, id: TipIdentifier) async throws -> StoredTip? {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: "SELECT \(TipRow.columns) FROM tips WHERE page_id = ? AND id = ?")
            return try Row.fetchOne(statement, arguments: [page.rawValue, id.text]).map { try TipRow($0).stored }
        }
    }

    public func credits(page: Page.ID, tip: TipIdentifier) async throws -> [GoalCredit] {
        try await read { db in
            try GoalCredits.decode(
                try String.fetchOne(
                    db, sql: "SELECT credits FROM tips WHERE page_id = ? AND id = ?",
                    arguments: [page.rawValue, tip.text]))
        }
    }
}
