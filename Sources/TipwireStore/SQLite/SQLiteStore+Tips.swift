import GRDB
public import TipwireCore

extension SQLiteStore {
    public func tips(page: Page.ID, before: Int64?, limit: Int) async throws -> [StoredTip] {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT \(TipRow.columns) FROM tips WHERE page_id = ? AND last_sequence < ?
                    ORDER BY last_sequence DESC LIMIT ?
                    """)
            return try Row.fetchAll(statement, arguments: [page.rawValue, before ?? .max, limit])
                .map { try TipRow($0).stored }
        }
    }

    public func search(
        page: Page.ID, before: Int64?, limit: Int, for filter: TipFilter
    ) async throws -> TipSearch {
        try await read { db in
            // The last tip that is looked at: a text that stands nowhere must not be looked for in all of a page's years.
            let last = try Int64.fetchOne(
                db,
                sql: """
                    SELECT last_sequence FROM tips WHERE page_id = ? AND last_sequence < ?
                    ORDER BY last_sequence DESC LIMIT 1 OFFSET \(Limits.searchedTips - 1)
                    """,
                arguments: [page.rawValue, before ?? .max])
            // `instr` and not LIKE: it has no signs of its own, and doesn't try again from every character.
            let statement = try db.cachedStatement(
                sql: """
                    SELECT \(TipRow.columns) FROM tips WHERE page_id = ?1 AND last_sequence < ?2 AND last_sequence >= ?3
                        AND (?4 IS NULL OR instr(lower(display_name), lower(?4)) OR instr(lower(message), lower(?4)))
                        AND gross >= ?5
                    ORDER BY last_sequence DESC LIMIT ?6
                    """)
            let tips = try Row.fetchAll(
                statement,
                arguments: [
                    page.rawValue, before ?? .max, last ?? 0, filter.text, filter.minimumAmountInCents ?? 0, limit,
                ]
            ).map { try TipRow($0).stored }
            return TipSearch(tips: tips, next: tips.count == limit ? tips.last?.sequence : last)
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
