import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

/// The tables in PostgreSQL, as one snapshot sees them.
struct PostgresAuditTables: AuditTables {
    let db: PostgresConnection

    /// Its constraints hold, and its pages have checksums where the operator wants them: there is nothing to add.
    func damage() throws -> [String] { [] }

    func readLog() throws -> LogRow { try LogRow.read(db) }

    func slugs() throws -> [Page.ID: String] {
        try db.execute("SELECT id, slug FROM pages").reduce(into: [:]) { slugs, row in
            slugs[Page.ID(rawValue: row[0])] = row[1] as String
        }
    }

    func goals(pages: [Page.ID]) throws -> [Page.ID: GoalQueue] { try GoalRows.current.read(db, pages: pages) }
    func prunedGoals(pages: [Page.ID]) throws -> [Page.ID: GoalQueue] { try GoalRows.pruned.read(db, pages: pages) }

    func entries(after sequence: Int64, limit: Int) throws -> [LogEntry] {
        try db.execute(
            """
            SELECT sequence, page_id, kind, time, data FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2
            """, sequence, limit
        ).map { row in
            let data: ByteBuffer = row[4]
            return LogEntry(
                sequence: row[0], page: Page.ID(rawValue: row[1]), kind: row[2],
                time: Timestamp(milliseconds: row[3]), data: data, bytes: Int64(data.readableBytes))
        }
    }

    func tips(_ names: Set<TipName>) throws -> [TipName: TipRow] {
        try TipRow.named(Array(names), db)
    }

    func untoldTips(after sequence: Int64) throws -> [String] {
        try db.execute(
            """
            SELECT id FROM tips WHERE first_sequence > $1 AND NOT EXISTS (
                SELECT 1 FROM events WHERE sequence = first_sequence AND events.kind = $2)
            """, sequence, EventKind.tipReceived.rawValue
        ).map { $0[0] as String }
    }

    func untoldRefunds(after sequence: Int64) throws -> [String] {
        try db.execute(
            """
            SELECT id FROM tips WHERE refund_first_sequence > $1 AND NOT EXISTS (
                SELECT 1 FROM events WHERE sequence = refund_first_sequence AND events.kind = $2)
            """, sequence, EventKind.tipRefunded.rawValue
        ).map { $0[0] as String }
    }
}
