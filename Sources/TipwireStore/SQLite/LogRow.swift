import GRDB
import TipwireCore

extension LogRow {
    static func read(_ db: Database) throws -> LogRow {
        let statement = try db.cachedStatement(
            sql: "SELECT epoch, head, pruned_through, committed_at, events, bytes FROM log")
        guard let row = try Row.fetchOne(statement) else { throw DamagedRow(table: "log", problem: "it is empty") }
        return LogRow(
            epoch: row[0], head: row[1], prunedThrough: row[2], committedAt: Timestamp(milliseconds: row[3]),
            events: row[4], bytes: row[5])
    }

    func write(_ db: Database) throws {
        try db.cachedStatement(
            sql: "UPDATE log SET head = ?, pruned_through = ?, committed_at = ?, events = ?, bytes = ?"
        ).execute(arguments: [head, prunedThrough, committedAt.milliseconds, events, bytes])
    }
}
