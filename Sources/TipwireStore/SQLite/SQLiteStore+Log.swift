import GRDB
public import TipwireCore

extension SQLiteStore {
    /// Most entries, wanted or not, that one `events` call for several pages looks at. It bounds the call to a few
    /// milliseconds when the wanted pages are quiet and the others are busy.
    static let windowRows = 4_096

    public func bounds() async throws -> LogBounds {
        try await read { db in try LogRow.read(db).bounds }
    }

    public func commit(
        _ takeBatch: @escaping @Sendable () -> LogBatch, answer: @escaping @Sendable (Result<Commit, any Error>) -> Void
    ) {
        write(
            { db in
                let batch = takeBatch()
                var appender = try LogAppender(SQLiteLogTables(db), at: batch.now)
                let results = try batch.commands.map { try appender.apply($0) }
                return Commit(results: results, bounds: try appender.finish())
            }, answer: answer)
    }

    public func logStatistics() async throws -> LogStatistics {
        try await read { db in
            let log = try LogRow.read(db)
            let oldest = try Int64.fetchOne(db, sql: "SELECT time FROM events ORDER BY sequence LIMIT 1")
            return LogStatistics(
                events: log.events, bytes: log.bytes, oldest: oldest.map(Timestamp.init(milliseconds:)))
        }
    }
}

// MARK: - Reading

extension SQLiteStore {
    public func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice {
        precondition(limit > 0, "a slice of the log holds at least one entry")
        return try await read { db in
            let bounds = try LogRow.read(db).bounds
            switch pages {
            case .all:
                return try Self.slice(db, bounds: bounds, after: sequence, limit: limit)
            case .some(let pages) where pages.isEmpty:
                return EventSlice(events: [], through: bounds.head, bounds: bounds)
            case .some(let pages) where pages.count == 1:
                return try Self.slice(db, bounds: bounds, after: sequence, page: pages.first, limit: limit)
            case .some(let pages):
                return try Self.window(db, bounds: bounds, after: sequence, pages: pages, limit: limit)
            }
        }
    }

    /// The entries of one page, by its index, or of all.
    private static func slice(
        _ db: Database, bounds: LogBounds, after sequence: Int64, page: Page.ID? = nil, limit: Int
    ) throws -> EventSlice {
        var arguments: StatementArguments = [sequence]
        if let page { arguments += [page.rawValue] }
        arguments += [limit]
        let statement = try db.cachedStatement(
            sql: """
                SELECT \(Event.columns) FROM events WHERE sequence > ? \(page == nil ? "" : "AND page_id = ?")
                ORDER BY sequence LIMIT ?
                """)
        let rows = try Row.fetchCursor(statement, arguments: arguments)
        var events: [Event] = []
        while let row = try rows.next() { events.append(try Event(row)) }
        return EventSlice(
            events: events, through: events.count == limit ? events[limit - 1].sequence : bounds.head, bounds: bounds)
    }

    /// The entries of several pages among the next `windowRows` of the log.
    ///
    /// Not one index search for each page: an account may own thousands, their entries would have to be sorted
    /// together, and most reads find just the few newest.
    private static func window(
        _ db: Database, bounds: LogBounds, after sequence: Int64, pages: Set<Page.ID>, limit: Int
    ) throws -> EventSlice {
        let statement = try db.cachedStatement(
            sql: "SELECT \(Event.columns) FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?")
        let rows = try Row.fetchCursor(statement, arguments: [sequence, windowRows])
        var events: [Event] = []
        var seen = 0
        var through = bounds.head
        while let row = try rows.next() {
            seen += 1
            if pages.contains(Page.ID(rawValue: row[1])) { events.append(try Event(row)) }
            if seen == windowRows || events.count == limit {
                through = row[0]
                break
            }
        }
        return EventSlice(events: events, through: through, bounds: bounds)
    }
}
