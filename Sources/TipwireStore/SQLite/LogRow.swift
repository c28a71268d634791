import GRDB
import TipwireCore

extension LogRow {
    static func read(_ db: Database) throws -> LogRow {
        let statement = try DirectStatement(
            db, sql: "SELECT epoch, head, pruned_through, committed_at, events, bytes FROM log")
        let found = try statement.first { row in
            LogRow(
                epoch: row.text(0), head: row.integer(1), prunedThrough: row.integer(2),
                committedAt: Timestamp(milliseconds: row.integer(3)), events: row.integer(4), bytes: row.integer(5))
        }
        guard let found else { throw DamagedRow(table: "log", problem: "it is empty") }
        return found
    }

    func write(_ db: Database) throws {
        try DirectStatement(
            db, sql: "UPDATE log SET head = ?, pruned_through = ?, committed_at = ?, events = ?, bytes = ?"
        ).run {
            $0.put(head)
            $0.put(prunedThrough)
            $0.put(committedAt.milliseconds)
            $0.put(events)
            $0.put(bytes)
        }
    }
}
