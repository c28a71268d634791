import GRDB
import NIOCore
import TipwireCore
import TipwireWire

/// The tables of the log in SQLite. What is written is in the database at once, and found there.
struct SQLiteLogTables: LogTables {
    private let db: Database
    private let findPage: DirectStatement
    private let findTip: DirectStatement
    private let findKey: DirectStatement
    private let insertTip: DirectStatement
    private let insertEvent: DirectStatement

    init(_ db: Database) throws {
        self.db = db
        findPage = try DirectStatement(
            db,
            sql: """
                SELECT (EXISTS (SELECT 1 FROM goals WHERE page_id = ?1)) || currency || slug FROM pages WHERE id = ?1
                """)
        findTip = try DirectStatement(db, sql: "SELECT last_sequence FROM tips WHERE page_id = ? AND id = ?")
        findKey = try DirectStatement(db, sql: "SELECT tip_id FROM idempotency WHERE page_id = ? AND key = ?")
        insertTip = try DirectStatement(
            db,
            sql: """
                INSERT INTO tips (page_id, id, display_name, message, gross, fee, is_anonymous, stated_created_at,
                    created_at, processed_at, first_sequence, last_sequence, credits)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        insertEvent = try DirectStatement(
            db, sql: "INSERT INTO events (sequence, page_id, kind, time, data) VALUES (?, ?, ?, ?, ?)")
    }
}

// MARK: - Reading

extension SQLiteLogTables {
    func readLog() throws -> LogRow { try LogRow.read(db) }

    func page(_ id: Page.ID) throws -> (label: PageLabel, goals: GoalQueue)? {
        guard let text = try findPage.first({ $0.put(id.rawValue) }, { $0.text(0) }) else { return nil }
        // The schema holds a currency's code to three letters.
        guard let currency = Currency(code: String(text.dropFirst().prefix(3))),
            let slug = Slug(String(text.dropFirst(4)))
        else { throw DamagedRow(table: "pages", problem: "bad slug or currency") }
        let goals = text.hasPrefix("1") ? try GoalRows.current.read(db, page: id) : GoalQueue()
        return (PageLabel(slug: slug, currency: currency), goals)
    }

    func tip(_ id: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        let found = try findTip.first {
            $0.put(page.rawValue)
            $0.put(id.text)
        } _: {
            $0.integer(0)
        }
        guard let sequence = found else { return nil }
        let statement = try db.cachedStatement(sql: "SELECT \(TipRow.columns) FROM tips WHERE last_sequence = ?")
        return try Row.fetchOne(statement, arguments: [sequence]).map(TipRow.init)
    }

    func tip(key: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        let id = try findKey.first {
            $0.put(page.rawValue)
            $0.put(key.text)
        } _: {
            $0.text(0)
        }
        return try id.flatMap(TipIdentifier.init).flatMap { try tip($0, of: page) }
    }

    func correction(_ key: TipIdentifier, of page: Page.ID) throws -> CorrectionRow? {
        try CorrectionRow.find(key, of: page, db)
    }

    func events(_ sequences: ClosedRange<Int64>) throws -> [Event] {
        let statement = try db.cachedStatement(
            sql: "SELECT \(Event.columns) FROM events WHERE sequence BETWEEN ? AND ? ORDER BY sequence")
        let cursor = try Row.fetchCursor(statement, arguments: [sequences.lowerBound, sequences.upperBound])
        var events: [Event] = []
        while let row = try cursor.next() { events.append(try Event(row)) }
        return events
    }
}

// MARK: - Writing

extension SQLiteLogTables {
    func insert(_ row: TipRow, of page: Page.ID) throws {
        let tip = row.tip
        try insertTip.run {
            $0.put(page.rawValue)
            $0.put(tip.id.text)
            $0.put(tip.displayName)
            $0.put(tip.message)
            $0.put(tip.grossAmountInCents)
            $0.put(tip.processingFeeInCents)
            $0.put(tip.isAnonymous)
            $0.put(row.statedCreatedAt?.milliseconds)
            $0.put(tip.createdAt.milliseconds)
            $0.put(tip.processedAt.milliseconds)
            $0.put(row.sequences.lowerBound)
            $0.put(row.sequences.upperBound)
            $0.put(row.creditsText)
        }
    }

    func insert(_ event: Event, data: ByteBuffer) throws {
        try insertEvent.run {
            $0.put(event.sequence)
            $0.put(event.page.rawValue)
            $0.put(event.body.kind.rawValue)
            $0.put(event.time.milliseconds)
            $0.put(data)
        }
    }

    func insert(key: TipIdentifier, for tip: TipIdentifier, of page: Page.ID) throws {
        try db.cachedStatement(sql: "INSERT INTO idempotency (page_id, key, tip_id) VALUES (?, ?, ?)")
            .execute(arguments: [page.rawValue, key.text, tip.text])
    }

    func insert(_ correction: CorrectionRow, key: TipIdentifier, of page: Page.ID) throws {
        try correction.insert(key: key, page: page, db)
    }

    func refund(_ row: TipRow, of page: Page.ID) throws {
        try db.cachedStatement(
            sql: """
                UPDATE tips SET refunded_at = ?, refund_first_sequence = ?, refund_last_sequence = ?
                WHERE last_sequence = ?
                """
        ).execute(arguments: [
            row.tip.refundedAt?.milliseconds, row.refundSequences?.lowerBound, row.refundSequences?.upperBound,
            row.sequences.upperBound,
        ])
    }

    func write(_ goals: GoalQueue, over before: GoalQueue, of page: Page.ID) throws {
        try GoalRows.current.write(goals, over: before, db, page: page)
    }

    func write(_ log: LogRow) throws { try log.write(db) }
}
