import TipwireCore
import TipwireStore

extension PostgresStore: LogStore {
    /// Most entries, wanted or not, that one `events` call for several pages looks at. It bounds the call to a few
    /// milliseconds when the wanted pages are quiet and the others are busy.
    private static let windowRows = 4_096

    public func bounds() async throws -> LogBounds {
        let bounds = try await read { [memory] db in try LogRow.read(db, of: memory).bounds }
        memory.see(bounds)
        return bounds
    }

    public func commit(
        _ takeBatch: @escaping @Sendable () -> LogBatch, answer: @escaping @Sendable (Result<Commit, any Error>) -> Void
    ) {
        onLog(
            { [memory] seat in
                // Of a transaction that is tried again it is the same.
                var taken: LogBatch?
                let (commit, tables) = try Transaction.write.run(at: seat, keepingIf: \.1.isChanged) { db in
                    var tables = try PostgresLogTables(locking: db, memory: memory)
                    let batch = taken ?? takeBatch()
                    taken = batch
                    try tables.readAhead(for: batch.commands)
                    var appender = try LogAppender(tables, at: batch.now)
                    let results = try batch.commands.map { try appender.apply($0) }
                    let bounds = try appender.finish()
                    try appender.tables.writeKeysOfRepeats()
                    return (Commit(results: results, bounds: bounds), appender.tables)
                }
                if let token = tables.token {
                    memory.keep(commit.bounds, token: token)
                } else {
                    memory.see(commit.bounds)
                }
                return commit
            }, answer: answer)
    }

    public func logStatistics() async throws -> LogStatistics {
        try await read { db in
            let log = try LogRow.read(db)
            let oldest = try db.execute("SELECT time FROM events ORDER BY sequence LIMIT 1").first
            return LogStatistics(
                events: log.events, bytes: log.bytes,
                oldest: oldest.map { Timestamp(milliseconds: $0[0]) })
        }
    }
}

// MARK: - Reading

extension PostgresStore {
    public func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice {
        precondition(limit > 0, "a slice of the log holds at least one entry")
        let slice = try await read { [memory] db in
            let (log, version) = try LogRow.readWithDirectory(db, of: memory)
            let (events, through) = try Self.events(db, after: sequence, pages: pages, limit: limit, head: log.head)
            return EventSlice(events: events, through: through, bounds: log.bounds, directoryVersion: version)
        }
        memory.see(slice.bounds)
        return slice
    }

    private static func events(
        _ db: PostgresConnection, after sequence: Int64, pages: PageSelection, limit: Int, head: Int64
    ) throws -> (events: [Event], through: Int64) {
        let rows: PostgresResult
        switch pages {
        case .all:
            rows = try db.execute(
                "SELECT \(Event.columns) FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2", sequence, limit)
        case .some(let pages) where pages.isEmpty: return ([], head)
        case .some(let pages) where pages.count == 1:
            rows = try db.execute(
                """
                SELECT \(Event.columns) FROM events WHERE page_id = $2 AND sequence > $1 ORDER BY sequence LIMIT $3
                """, sequence, pages.first?.rawValue, limit)
        case .some(let pages): return try window(db, after: sequence, pages: pages, limit: limit, head: head)
        }
        let events = try rows.map { try Event($0) }
        return (events, events.count == limit ? events[limit - 1].sequence : head)
    }

    /// The entries of several pages among the next `windowRows` of the log.
    ///
    /// Not one index search for each page: an account may own thousands, their entries would have to be sorted
    /// together, and most reads find just the few newest.
    private static func window(
        _ db: PostgresConnection, after sequence: Int64, pages: Set<Page.ID>, limit: Int, head: Int64
    ) throws -> (events: [Event], through: Int64) {
        // Of those that aren't wanted nothing but the number comes over.
        let last: Int64? = try db.execute(
            "SELECT sequence FROM events WHERE sequence > $1 ORDER BY sequence OFFSET \(windowRows - 1) LIMIT 1",
            sequence
        ).first?[0]
        let rows = try db.execute(
            """
            SELECT \(Event.columns) FROM events WHERE sequence > $1 AND sequence <= $2 AND page_id = ANY($3::bigint[])
            ORDER BY sequence LIMIT $4
            """, sequence, last ?? head, pages.map(\.rawValue), limit)
        let events = try rows.map { try Event($0) }
        return (events, events.count == limit ? events[limit - 1].sequence : last ?? head)
    }
}
