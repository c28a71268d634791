import GRDB
import TipwireCore

/// The one row of `log`: where the log stands.
struct LogRow {
    let epoch: String
    var head: Int64
    var prunedThrough: Int64
    /// The latest commit that added events; 1970 before the first.
    var committedAt: Timestamp
    var events: Int64
    var bytes: Int64

    /// Bytes that retention by size counts for each event beside its data: about what the row's other columns and its
    /// index entry take.
    static let allowancePerEvent: Int64 = 64

    var bounds: LogBounds { LogBounds(epoch: epoch, head: head, prunedThrough: prunedThrough) }

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

/// A row holds what this program never writes: the file is damaged, or was edited by hand.
struct DamagedRow: Error, CustomStringConvertible {
    let table: String
    let problem: String

    var description: String { "table '\(table)' can't be read: \(problem)" }
}
