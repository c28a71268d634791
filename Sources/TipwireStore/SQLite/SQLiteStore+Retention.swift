import GRDB
public import TipwireCore

extension SQLiteStore {
    /// Bytes of events that one call removes at most, and one event more: an event of a long queue of goals may have tens
    /// of KiB, and all of it is replayed.
    private static let pruneBytes: Int64 = 1024 * 1024

    public func prune(olderThan horizon: Timestamp, keepingBytes bytes: Int64, limit: Int) async throws -> Pruning {
        precondition(limit > 0, "a pruning removes at least one entry")
        return try await write { db in
            var log = try LogRow.read(db)
            // Times and sequences rise together, so what is too old and what is too much are both a beginning of the
            // log, and the longer of the two goes.
            let rows = try Row.fetchCursor(
                db, sql: "SELECT sequence, time, length(CAST(data AS BLOB)) FROM events ORDER BY sequence")
            var removed = 0
            var removedBytes: Int64 = 0
            var isPartial = false
            while let row = try rows.next() {
                guard Timestamp(milliseconds: row[1]) < horizon || log.bytes > bytes else { break }
                guard removed < limit, removedBytes < Self.pruneBytes else {
                    isPartial = true
                    break
                }
                removed += 1
                log.prunedThrough = row[0]
                log.events -= 1
                let size: Int64 = row[2] + LogRow.allowancePerEvent
                log.bytes = max(0, log.bytes - size)
                removedBytes += size
            }
            guard removed > 0 else { return Pruning(removed: 0, isPartial: false) }
            try Self.keepGoals(db, through: log.prunedThrough)
            try db.execute(sql: "DELETE FROM events WHERE sequence <= ?", arguments: [log.prunedThrough])
            try log.write(db)
            return Pruning(removed: removed, isPartial: isPartial)
        }
    }

    /// Brings `pruned_goals` from where it stands to `sequence`, by the events in between.
    private static func keepGoals(_ db: Database, through sequence: Int64) throws {
        var queues: [Page.ID: (before: GoalQueue, now: GoalQueue)] = [:]
        // Only pages that have goals, or get them in this stretch: to all others a tip is nothing to replay.
        let events = try Row.fetchCursor(
            db,
            sql: """
                SELECT \(Event.columns) FROM events
                WHERE sequence <= ?1 AND kind IN (?2, ?3) AND page_id IN (
                    SELECT page_id FROM pruned_goals UNION SELECT page_id FROM events WHERE sequence <= ?1 AND kind = ?3)
                ORDER BY sequence
                """,
            arguments: [sequence, EventKind.tipReceived.rawValue, EventKind.goalQueueChanged.rawValue])
        while let row = try events.next() {
            // A change that can't be read or repeated means a damaged log, which is for `tipwire doctor` to tell. The log
            // must be kept within its bounds all the same.
            guard let event = try? Event(row) else { continue }
            if queues[event.page] == nil {
                let kept = try GoalRows.pruned.read(db, page: event.page)
                queues[event.page] = (kept, kept)
            }
            try? queues[event.page]!.now.follow(event.body)
        }
        for (page, queue) in queues { try GoalRows.pruned.write(queue.now, over: queue.before, db, page: page) }
    }
}
