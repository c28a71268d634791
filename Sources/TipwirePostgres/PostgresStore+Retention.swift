import TipwireCore
import TipwireStore

extension PostgresStore {
    /// Bytes of events that one call removes at most, and one event more: an event of a long queue of goals may have tens
    /// of KiB, and all of it is replayed.
    private static let pruneBytes: Int64 = 1024 * 1024

    public func prune(olderThan horizon: Timestamp, keepingBytes bytes: Int64, limit: Int) async throws -> Pruning {
        precondition(limit > 0, "a pruning removes at least one entry")
        return try await writeLog { db in
            var log = try LogRow.lock(db)
            // Times and sequences rise together, so what is too old and what is too much are both a beginning of the
            // log, and the longer of the two goes.
            let rows = try db.execute(
                "SELECT sequence, time, octet_length(data)::bigint FROM events ORDER BY sequence LIMIT $1", limit + 1)
            var removed = 0
            var removedBytes: Int64 = 0
            var isPartial = false
            for row in rows {
                guard Timestamp(milliseconds: row[1]) < horizon || log.bytes > bytes else { break }
                guard removed < limit, removedBytes < Self.pruneBytes else {
                    isPartial = true
                    break
                }
                removed += 1
                log.prunedThrough = row[0]
                log.events -= 1
                let size: Int64 = (row[2] as Int64) + LogRow.allowancePerEvent
                log.bytes = max(0, log.bytes - size)
                removedBytes += size
            }
            guard removed > 0 else { return Pruning(removed: 0, isPartial: false) }
            try Self.keepGoals(db, through: log.prunedThrough)
            try db.execute("DELETE FROM events WHERE sequence <= $1", log.prunedThrough)
            // The newest stays, whatever is left of the log: by it this log is told from another one.
            try db.execute(
                "DELETE FROM batches WHERE head <= $1 AND head < (SELECT max(head) FROM batches)", log.prunedThrough)
            try log.write(db)
            return Pruning(removed: removed, isPartial: isPartial)
        }
    }

    /// Brings `pruned_goals` from where it stands to `sequence`, by the events in between.
    private static func keepGoals(_ db: PostgresConnection, through sequence: Int64) throws {
        // Only pages that have goals, or get them in this stretch: to all others a tip is nothing to replay.
        let rows = try db.execute(
            """
            SELECT \(Event.columns) FROM events
            WHERE sequence <= $1 AND kind IN ($2, $3) AND page_id IN (
                SELECT page_id FROM pruned_goals UNION SELECT page_id FROM events WHERE sequence <= $1 AND kind = $3)
            ORDER BY sequence
            """, sequence, EventKind.tipReceived.rawValue, EventKind.goalQueueChanged.rawValue)
        // A change that can't be read or repeated means a damaged log, which is for `tipwire doctor` to tell. The log
        // must be kept within its bounds all the same.
        let events = rows.compactMap { try? Event($0) }
        let before = try GoalRows.pruned.read(db, pages: Array(Set(events.map(\.page))))
        var now: [Page.ID: GoalQueue] = [:]
        for event in events {
            try? now[event.page, default: before[event.page] ?? GoalQueue()].follow(event.body)
        }
        var changes = GoalRows.Changes()
        for (page, queue) in now { changes.add(queue, over: before[page] ?? GoalQueue(), of: page) }
        try changes.write(to: .pruned, db)
    }
}
