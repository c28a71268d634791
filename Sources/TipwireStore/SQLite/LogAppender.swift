import GRDB
import NIOCore
import TipwireCore
import TipwireWire

/// One batch of commands on its way into the log, inside one write transaction.
///
/// Each command is first decided and only then written, so that a refused one leaves nothing behind and needs no
/// savepoint. What an earlier command of the batch wrote is in the tables already, or in `pages`: a later one finds it.
struct LogAppender {
    let db: Database
    private(set) var log: LogRow
    private var changed = false
    /// The time of everything in this batch.
    let time: Timestamp
    /// The pages of this batch as they stand now.
    var pages: [Page.ID: PageState] = [:]

    private let findPage: DirectStatement
    private let findTip: DirectStatement
    private let findKey: DirectStatement
    let insertTip: DirectStatement
    private let insertEvent: DirectStatement

    struct PageState {
        let label: PageLabel
        var reducer: PageReducer
        /// The goals as the table has them; what differs at the end of the batch is written then, once.
        let stored: GoalQueue
    }

    init(_ db: Database, at now: Timestamp) throws {
        self.db = db
        log = try LogRow.read(db)
        time = max(now, log.committedAt)
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

    mutating func apply(_ command: LogCommand) throws -> Result<[LogAnswer], LogRefusal> {
        switch command {
        case .receive(let page, let drafts, let key):
            guard try load(page) else { return .failure(.unknownPage) }
            return try receive(drafts, key: key, page: page)
        case .replay(let page, let id):
            guard try load(page) else { return .failure(.unknownPage) }
            guard let row = try tip(id, of: page) else { return .failure(.unknownTip) }
            guard row.tip.refundedAt == nil else { return .failure(.refunded) }
            let events = try append(pages[page]!.reducer.replay(row.tip), to: page)
            return .success([answer(.tip(row.tip), page, events)])
        case .refund(let page, let id, let key):
            guard try load(page) else { return .failure(.unknownPage) }
            return try refund(id, key: key, page: page)
        case .changeGoals(let page, let change, let key):
            guard try load(page) else { return .failure(.unknownPage) }
            return try changeGoals(change, key: key, page: page)
        }
    }

    /// Writes the goals that moved and the log's row, each once for the whole batch, and says where the log now stands.
    mutating func finish() throws -> LogBounds {
        // A batch of nothing but repeats and refusals writes nothing, and its commit costs no sync.
        if changed {
            for (page, state) in pages {
                try GoalRows.current.write(state.reducer.queue, over: state.stored, db, page: page)
            }
            log.committedAt = time
            try log.write(db)
        }
        return log.bounds
    }
}

// MARK: - Rows

extension LogAppender {
    /// Makes the page's state ready in `pages`; false if there is no such page.
    private mutating func load(_ page: Page.ID) throws -> Bool {
        if pages[page] != nil { return true }
        guard let text = try findPage.text({ $0.put(page.rawValue) }) else { return false }
        // The schema holds a currency's code to three letters.
        guard let currency = Currency(code: String(text.dropFirst().prefix(3))),
            let slug = Slug(String(text.dropFirst(4)))
        else { throw DamagedRow(table: "pages", problem: "bad slug or currency") }
        let goals = text.hasPrefix("1") ? try GoalRows.current.read(db, page: page) : GoalQueue()
        pages[page] = PageState(
            label: PageLabel(slug: slug, currency: currency), reducer: PageReducer(queue: goals), stored: goals)
        return true
    }

    func tip(_ id: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        let found = try findTip.integer {
            $0.put(page.rawValue)
            $0.put(id.text)
        }
        guard let sequence = found else { return nil }
        let statement = try db.cachedStatement(sql: "SELECT \(TipRow.columns) FROM tips WHERE last_sequence = ?")
        return try Row.fetchOne(statement, arguments: [sequence]).map(TipRow.init)
    }

    /// The tip that a call with this key made or met.
    func tip(key: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        let id = try findKey.text {
            $0.put(page.rawValue)
            $0.put(key.text)
        }
        return try id.flatMap(TipIdentifier.init).flatMap { try tip($0, of: page) }
    }

    /// Puts `bodies` at the head of the log, one after the other.
    mutating func append(_ bodies: [EventBody], to page: Page.ID) throws -> [Event] {
        let label = pages[page]!.label
        var events: [Event] = []
        events.reserveCapacity(bodies.count)
        for body in bodies {
            let data = EventData.encode(body, page: label)
            let event = Event(sequence: log.head + 1, page: page, time: time, body: body)
            try insertEvent.run {
                $0.put(event.sequence)
                $0.put(page.rawValue)
                $0.put(body.kind.rawValue)
                $0.put(time.milliseconds)
                $0.put(data)
            }
            log.head = event.sequence
            log.events += 1
            log.bytes += Int64(data.readableBytes) + LogRow.allowancePerEvent
            changed = true
            events.append(event)
        }
        return events
    }

    /// Events of an earlier commit; none when retention has removed any of them: half a first answer would look like
    /// another one.
    func events(_ sequences: ClosedRange<Int64>) throws -> [Event] {
        guard sequences.lowerBound > log.prunedThrough else { return [] }
        let statement = try db.cachedStatement(
            sql: "SELECT \(Event.columns) FROM events WHERE sequence BETWEEN ? AND ? ORDER BY sequence")
        let cursor = try Row.fetchCursor(statement, arguments: [sequences.lowerBound, sequences.upperBound])
        var events: [Event] = []
        while let row = try cursor.next() { events.append(try Event(row)) }
        return events
    }

    func answer(_ subject: LogAnswer.Subject, _ page: Page.ID, _ events: [Event]) -> LogAnswer {
        // Not `log.head`: this is called with the events as an argument, on a `self` that was read before they were made.
        LogAnswer(
            subject: subject, page: pages[page]!.label, events: events,
            lastSequence: events[events.count - 1].sequence, isRepeat: false)
    }

    func repeatedAnswer(
        _ subject: LogAnswer.Subject, _ page: Page.ID, _ sequences: ClosedRange<Int64>
    ) throws -> LogAnswer {
        LogAnswer(
            subject: subject, page: pages[page]!.label, events: try events(sequences),
            lastSequence: sequences.upperBound, isRepeat: true)
    }
}
