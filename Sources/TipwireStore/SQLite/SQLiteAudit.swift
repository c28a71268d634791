import GRDB
import NIOCore
import TipwireCore
import TipwireWire

extension SQLiteStore {
    /// Checks the database at `path`, also while a server uses it: one snapshot is read, and nothing is written.
    ///
    /// The file's own integrity, the log's counts against its entries, that every entry can be read, and for each page that
    /// the log leads to the goals that the store holds. Takes as long as reading everything once. Throws `StoreUnusable` when
    /// the file can't be read as a database of this version.
    public static func audit(at path: String) throws -> StoreAudit {
        try reading(path) { db in
            var auditor = try Auditor(SQLiteAuditTables(db: db))
            return try auditor.run()
        }
    }
}

/// The tables of one file, each question a look-up.
private struct SQLiteAuditTables: AuditTables {
    let db: Database

    func damage() throws -> [String] {
        let damaged = try String.fetchAll(db, sql: "PRAGMA quick_check(10)").filter { $0 != "ok" }
        let dangling = try Row.fetchAll(db, sql: "PRAGMA foreign_key_check")
        return damaged.map { "the file is damaged: \($0)" }
            + dangling.map { row in
                "table '\(row[0] as String)' refers to a row of '\(row[2] as String)' that isn't there"
            }
    }

    func readLog() throws -> LogRow { try LogRow.read(db) }

    func slugs() throws -> [Page.ID: String] {
        try Row.fetchAll(db, sql: "SELECT id, slug FROM pages").reduce(into: [:]) { slugs, row in
            slugs[Page.ID(rawValue: row[0])] = row[1]
        }
    }

    func goals(pages: [Page.ID]) throws -> [Page.ID: GoalQueue] { try read(.current, pages) }
    func prunedGoals(pages: [Page.ID]) throws -> [Page.ID: GoalQueue] { try read(.pruned, pages) }

    private func read(_ table: GoalRows, _ pages: [Page.ID]) throws -> [Page.ID: GoalQueue] {
        try pages.reduce(into: [:]) { queues, page in queues[page] = try table.read(db, page: page) }
    }

    func entries(after sequence: Int64, limit: Int) throws -> [LogEntry] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT sequence, page_id, kind, time, data, length(CAST(data AS BLOB)) FROM events
                WHERE sequence > ? ORDER BY sequence LIMIT ?
                """)
        return try Row.fetchAll(statement, arguments: [sequence, limit]).map { row in
            LogEntry(
                sequence: row[0], page: Page.ID(rawValue: row[1]), kind: row[2],
                time: Timestamp(milliseconds: row[3]), data: ByteBuffer(string: row[4]), bytes: row[5])
        }
    }

    func tips(_ names: Set<TipName>) throws -> [TipName: TipRow] {
        let statement = try db.cachedStatement(
            sql: "SELECT \(TipRow.columns) FROM tips WHERE page_id = ? AND id = ?")
        return try names.reduce(into: [:]) { tips, name in
            tips[name] = try Row.fetchOne(statement, arguments: [name.page.rawValue, name.id.text]).map(TipRow.init)
        }
    }

    func untoldTips(after sequence: Int64) throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT id FROM tips WHERE first_sequence > ?1 AND NOT EXISTS (
                    SELECT 1 FROM events WHERE sequence = first_sequence AND kind = ?2)
                """, arguments: [sequence, EventKind.tipReceived.rawValue])
    }

    func untoldRefunds(after sequence: Int64) throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT id FROM tips WHERE refund_first_sequence > ?1 AND NOT EXISTS (
                    SELECT 1 FROM events WHERE sequence = refund_first_sequence AND kind = ?2)
                """, arguments: [sequence, EventKind.tipRefunded.rawValue])
    }
}
