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

    public func tip(page: Page.ID, id: TipIdentifier) async throws -> StoredTip? {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: "SELECT \(TipRow.columns) FROM tips WHERE page_id = ? AND id = ?")
            return try Row.fetchOne(statement, arguments: [page.rawValue, id.text]).map { try TipRow($0).stored }
        }
    }
}
