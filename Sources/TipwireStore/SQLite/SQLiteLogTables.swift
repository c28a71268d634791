import GRDB
import NIOCore
import TipwireCore
import TipwireWire

/// The tables of the log in SQLite, as one batch sees them. Tips and events are written by the group, and found before they are;
/// everything else is in the database at once.
struct SQLiteLogTables: LogTables {
    private let db: Database
    private let findPage: DirectStatement
    private let findTip: DirectStatement
    private let findKey: DirectStatement
    private var newTips: GroupedInsert<TipRow>
    private var newEvents: GroupedInsert<(event: Event, data: ByteBuffer)>

    private static let insertTips = InsertStatements(
        into: "tips",
        [
            "page_id", "id", "display_name", "message", "gross", "fee", "is_anonymous", "stated_created_at",
            "created_at", "processed_at", "first_sequence", "last_sequence", "credits",
        ])
    private static let insertEvents = InsertStatements(
        into: "events", ["sequence", "page_id", "kind", "time", "data"])

    init(_ db: Database) throws {
        self.db = db
        findPage = try DirectStatement(
            db,
            sql: """
                SELECT (EXISTS (SELECT 1 FROM goals WHERE page_id = ?1)) || currency || slug FROM pages WHERE id = ?1
                """)
        findTip = try DirectStatement(db, sql: "SELECT last_sequence FROM tips WHERE page_id = ? AND id = ?")
        findKey = try DirectStatement(db, sql: "SELECT tip_id FROM idempotency WHERE page_id = ? AND key = ?")
        newTips = try GroupedInsert(db, Self.insertTips) { row, page, places in
            let tip = row.tip
            places.put(page.rawValue)
            places.put(tip.id.text)
            places.put(tip.displayName)
            places.put(tip.message)
            places.put(tip.grossAmountInCents)
            places.put(tip.processingFeeInCents)
            places.put(tip.isAnonymous)
            places.put(row.statedCreatedAt?.milliseconds)
            places.put(tip.createdAt.milliseconds)
            places.put(tip.processedAt.milliseconds)
            places.put(row.sequences.lowerBound)
            places.put(row.sequences.upperBound)
            places.put(row.creditsText)
        }
        newEvents = try GroupedInsert(db, Self.insertEvents) { new, page, places in
            let event = new.event
            places.put(event.sequence)
            places.put(page.rawValue)
            places.put(event.body.kind.rawValue)
            places.put(event.time.milliseconds)
            places.put(new.data)
        }
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
        if newTips.page == page, let new = newTips.waiting.first(where: { $0.tip.id == id }) { return new }
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

    mutating func events(_ sequences: ClosedRange<Int64>) throws -> [Event] {
        if let new = newEvents.waiting.first, new.event.sequence <= sequences.upperBound { try newEvents.flush() }
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
    mutating func insert(_ row: TipRow, of page: Page.ID) throws { try newTips.add(row, of: page) }

    mutating func insert(_ event: Event, data: ByteBuffer) throws {
        try newEvents.add((event, data), of: event.page)
    }

    mutating func insert(key: TipIdentifier, for tip: TipIdentifier, of page: Page.ID) throws {
        // The schema wants the tip to be there.
        try newTips.flush()
        try db.cachedStatement(sql: "INSERT INTO idempotency (page_id, key, tip_id) VALUES (?, ?, ?)")
            .execute(arguments: [page.rawValue, key.text, tip.text])
    }

    func insert(_ correction: CorrectionRow, key: TipIdentifier, of page: Page.ID) throws {
        try correction.insert(key: key, page: page, db)
    }

    mutating func refund(_ row: TipRow, of page: Page.ID) throws {
        try newTips.flush()
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

    mutating func write(_ log: LogRow) throws {
        try newEvents.flush()
        try newTips.flush()
        try log.write(db)
    }
}
