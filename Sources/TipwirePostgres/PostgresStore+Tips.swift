import TipwireCore
import TipwireStore

extension PostgresStore: TipStore, GoalStore {
    public func tips(page: Page.ID, before: Int64?, limit: Int) async throws -> [StoredTip] {
        try await read { db in
            try db.execute(
                """
                SELECT \(TipRow.columns) FROM tips WHERE page_id = $1 AND last_sequence < $2
                ORDER BY last_sequence DESC LIMIT $3
                """, page.rawValue, before ?? .max, limit
            ).map { try TipRow($0).stored }
        }
    }

    public func search(
        page: Page.ID, before: Int64?, limit: Int, for filter: TipFilter
    ) async throws -> TipSearch {
        // No tip has one, and PostgreSQL can't even be asked.
        guard filter.text?.utf8.contains(0) != true else { return TipSearch(tips: [], next: nil) }
        return try await read { db in
            // The last tip that is looked at: a text that stands nowhere must not be looked for in all of a page's years.
            let last: Int64? = try db.execute(
                """
                SELECT last_sequence FROM tips WHERE page_id = $1 AND last_sequence < $2
                ORDER BY last_sequence DESC LIMIT 1 OFFSET \(Limits.searchedTips - 1)
                """, page.rawValue, before ?? .max
            ).first?[0]
            // `strpos` and not LIKE: it has no signs of its own. In the collation "C" `lower` knows the letters of ASCII alone.
            let tips = try db.execute(
                """
                SELECT \(TipRow.columns) FROM tips WHERE page_id = $1 AND last_sequence < $2 AND last_sequence >= $3
                    AND ($4::text IS NULL OR strpos(lower(display_name), lower($4 COLLATE "C")) > 0
                        OR strpos(lower(message), lower($4 COLLATE "C")) > 0)
                    AND gross >= $5
                ORDER BY last_sequence DESC LIMIT $6
                """, page.rawValue, before ?? .max, last ?? 0, filter.text, filter.minimumAmountInCents ?? 0, limit
            ).map { try TipRow($0).stored }
            return TipSearch(tips: tips, next: tips.count == limit ? tips.last?.sequence : last)
        }
    }

    public func tip(page: Page.ID, id: TipIdentifier) async throws -> StoredTip? {
        try await read { db in
            try db.execute(
                "SELECT \(TipRow.columns) FROM tips WHERE page_id = $1 AND id = $2", page.rawValue, id.text
            ).first.map { try TipRow($0).stored }
        }
    }

    public func credits(page: Page.ID, tip: TipIdentifier) async throws -> [GoalCredit] {
        try await read { db in
            let row = try db.execute(
                "SELECT credits FROM tips WHERE page_id = $1 AND id = $2", page.rawValue, tip.text
            ).first
            return try GoalCredits.decode(row?[0])
        }
    }

    public func goals(page: Page.ID) async throws -> GoalQueue {
        try await read { db in try GoalRows.current.read(db, page: page) }
    }
}
