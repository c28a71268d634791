import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

/// The tables of the log in PostgreSQL, as one batch sees them.
///
/// A statement costs a journey to the server and back, so a batch makes as many as it takes for all of it, not for each tip:
/// what the commands ask for is read ahead, what they write is gathered, and `write(_: LogRow)` sends it.
struct PostgresLogTables: LogTables {
    private let db: PostgresConnection
    private let log: LogRow

    private var pages: [Page.ID: (label: PageLabel, goals: GoalQueue)] = [:]
    private var tips: [TipName: TipRow] = [:]
    private var tipsByKey: [TipName: TipIdentifier] = [:]
    private var corrections: [TipName: CorrectionRow] = [:]

    private var newTips: [(page: Page.ID, row: TipRow)] = []
    private var newEvents: [(event: Event, data: ByteBuffer)] = []
    private var newKeys: [(page: Page.ID, key: TipIdentifier, tip: TipIdentifier)] = []
    private var newCorrections: [(page: Page.ID, key: TipIdentifier, row: CorrectionRow)] = []
    private var refunds: [TipRow] = []
    private var goals = GoalRows.Changes()
    /// What the batch has left beside its head, once it is written.
    private(set) var token: Int64?

    /// Of a new database the planner thinks that its tables are empty, and keeps for a connection's life to reading all of them.
    static func prepare(_ db: PostgresConnection) throws {
        try db.shortenStandstill()
        try db.script("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off")
    }

    /// Waits for the log. From here on no other commit is between what is read and what is written.
    init(locking db: PostgresConnection, memory: LogMemory) throws {
        self.db = db
        log = try LogRow.lock(db)
        try memory.require(log)
    }

    /// Reads all that the commands ask for.
    mutating func readAhead(for commands: [LogCommand]) throws {
        let wanted = Wanted(commands)
        try readPages(wanted.pages)
        if !wanted.keys.isEmpty { try readKeys(wanted.keys) }
        let named = wanted.tips + tipsByKey.map { TipName(page: $0.key.page, id: $0.value) }
        if !named.isEmpty { tips = try TipRow.named(named, db) }
    }

    /// What the commands of a batch will ask for.
    private struct Wanted {
        var pages: Set<Page.ID> = []
        var tips: [TipName] = []
        /// Keys are of the same form as tips' ids.
        var keys: [TipName] = []

        init(_ commands: [LogCommand]) {
            for command in commands {
                switch command {
                case .receive(let page, let drafts, let key):
                    pages.insert(page)
                    tips += drafts.compactMap(\.id).map { TipName(page: page, id: $0) }
                    add(key, page)
                case .replay(let page, let tip):
                    pages.insert(page)
                    tips.append(TipName(page: page, id: tip))
                case .refund(let page, let tip, let key):
                    pages.insert(page)
                    tips.append(TipName(page: page, id: tip))
                    add(key, page)
                case .changeGoals(let page, _, let key):
                    pages.insert(page)
                    add(key, page)
                }
            }
        }

        private mutating func add(_ key: TipIdentifier?, _ page: Page.ID) {
            if let key { keys.append(TipName(page: page, id: key)) }
        }
    }
}

// MARK: - Reading ahead

extension PostgresLogTables {
    private mutating func readPages(_ ids: Set<Page.ID>) throws {
        let goals = try GoalRows.current.read(db, pages: Array(ids))
        let rows = try db.execute(
            "SELECT id, slug, currency FROM pages WHERE id = ANY($1::bigint[])", ids.map(\.rawValue))
        for row in rows {
            let id = Page.ID(rawValue: row[0])
            guard let slug = Slug(row[1]), let currency = Currency(code: row[2]) else {
                throw DamagedRow(table: "pages", problem: "bad slug or currency")
            }
            pages[id] = (PageLabel(slug: slug, currency: currency), goals[id] ?? GoalQueue())
        }
    }

    private mutating func readKeys(_ keys: [TipName]) throws {
        let pages = keys.map(\.page.rawValue)
        let texts = keys.map(\.id.text)
        let wanted = "JOIN unnest($1::bigint[], $2::text[]) AS wanted (page_id, key) USING (page_id, key)"
        for row in try db.execute("SELECT page_id, key, tip_id FROM idempotency \(wanted)", pages, texts) {
            guard let key = TipIdentifier(row[1]), let tip = TipIdentifier(row[2]) else {
                throw DamagedRow(table: "idempotency", problem: "bad id")
            }
            tipsByKey[TipName(page: Page.ID(rawValue: row[0]), id: key)] = tip
        }
        let corrections = try db.execute(
            "SELECT page_id, key, \(CorrectionRow.columns) FROM corrections \(wanted)", pages, texts)
        for row in corrections {
            guard let key = TipIdentifier(row[1]) else { throw DamagedRow(table: "corrections", problem: "bad key") }
            self.corrections[TipName(page: Page.ID(rawValue: row[0]), id: key)] = try CorrectionRow(row, from: 2)
        }
    }
}

// MARK: - What the appender asks

extension PostgresLogTables {
    func readLog() throws -> LogRow { log }

    func page(_ id: Page.ID) throws -> (label: PageLabel, goals: GoalQueue)? { pages[id] }

    func tip(_ id: TipIdentifier, of page: Page.ID) throws -> TipRow? { tips[TipName(page: page, id: id)] }

    func tip(key: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        try tipsByKey[TipName(page: page, id: key)].flatMap { try tip($0, of: page) }
    }

    func correction(_ key: TipIdentifier, of page: Page.ID) throws -> CorrectionRow? {
        corrections[TipName(page: page, id: key)]
    }

    func events(_ sequences: ClosedRange<Int64>) throws -> [Event] {
        // Those of this batch are not in the database yet.
        if sequences.lowerBound > log.head {
            return newEvents.map(\.event).filter { sequences.contains($0.sequence) }
        }
        return try db.execute(
            "SELECT \(Event.columns) FROM events WHERE sequence BETWEEN $1 AND $2 ORDER BY sequence",
            sequences.lowerBound, sequences.upperBound
        ).map { try Event($0) }
    }
}

// MARK: - Writing

extension PostgresLogTables {
    mutating func insert(_ row: TipRow, of page: Page.ID) throws {
        newTips.append((page, row))
        tips[TipName(page: page, id: row.tip.id)] = row
    }

    mutating func insert(_ event: Event, data: ByteBuffer) throws {
        newEvents.append((event, data))
    }

    mutating func insert(key: TipIdentifier, for tip: TipIdentifier, of page: Page.ID) throws {
        newKeys.append((page, key, tip))
        tipsByKey[TipName(page: page, id: key)] = tip
    }

    mutating func insert(_ correction: CorrectionRow, key: TipIdentifier, of page: Page.ID) throws {
        newCorrections.append((page, key, correction))
        corrections[TipName(page: page, id: key)] = correction
    }

    mutating func refund(_ row: TipRow, of page: Page.ID) throws {
        refunds.append(row)
        tips[TipName(page: page, id: row.tip.id)] = row
    }

    mutating func write(_ queue: GoalQueue, over before: GoalQueue, of page: Page.ID) throws {
        goals.add(queue, over: before, of: page)
    }

    mutating func write(_ log: LogRow) throws {
        try writeEvents()
        try writeTips()
        try writeKeys()
        try writeRefunds()
        try goals.write(to: .current, db)
        try log.write(db)
        let token = Int64.random(in: .min ... .max)
        try db.execute("INSERT INTO batches (head, token) VALUES ($1, $2)", log.head, token)
        self.token = token
    }

    /// A repeat changes nothing of the log, and may still bring a new key: that is all there is to write then.
    func writeKeysOfRepeats() throws {
        if token == nil { try writeKeys() }
    }

    /// Whether there is anything to keep. A batch of repeats and refusals has nothing, and its end costs no sync.
    var isChanged: Bool { token != nil || !newKeys.isEmpty || !newCorrections.isEmpty }

    private func writeEvents() throws {
        guard !newEvents.isEmpty else { return }
        try db.execute(
            """
            INSERT INTO events (sequence, page_id, kind, time, data)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])
            """,
            newEvents.map(\.event.sequence), newEvents.map(\.event.page.rawValue),
            newEvents.map(\.event.body.kind.rawValue), newEvents.map(\.event.time.milliseconds),
            PostgresValue.documents(newEvents.map(\.data)))
    }

    private func writeTips() throws {
        guard !newTips.isEmpty else { return }
        let rows = newTips.map(\.row)
        try db.execute(
            """
            INSERT INTO tips (page_id, id, display_name, message, gross, fee, is_anonymous, stated_created_at,
                created_at, processed_at, first_sequence, last_sequence, credits)
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                $7::boolean[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[])
            """,
            newTips.map(\.page.rawValue), rows.map(\.tip.id.text), rows.map(\.tip.displayName),
            rows.map(\.tip.message), rows.map(\.tip.grossAmountInCents),
            rows.map(\.tip.processingFeeInCents), rows.map(\.tip.isAnonymous),
            PostgresValue.ints(rows.map { $0.statedCreatedAt?.milliseconds }),
            rows.map(\.tip.createdAt.milliseconds), rows.map(\.tip.processedAt.milliseconds),
            rows.map(\.sequences.lowerBound), rows.map(\.sequences.upperBound),
            PostgresValue.texts(rows.map(\.creditsText)))
    }

    private func writeKeys() throws {
        if !newKeys.isEmpty {
            try db.execute(
                """
                INSERT INTO idempotency (page_id, key, tip_id)
                SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])
                """, newKeys.map(\.page.rawValue), newKeys.map(\.key.text), newKeys.map(\.tip.text))
        }
        for (page, key, correction) in newCorrections { try write(correction, key: key, of: page) }
    }

    /// Corrections are made by hand: there are never many of them in a batch.
    private func write(_ correction: CorrectionRow, key: TipIdentifier, of page: Page.ID) throws {
        switch correction {
        case .refund(let tip):
            try db.execute(
                "INSERT INTO corrections (page_id, key, tip_id) VALUES ($1, $2, $3)", page.rawValue, key.text, tip.text)
        case .adjustment(let adjustment):
            let goal = adjustment.answer.goal
            try db.execute(
                """
                INSERT INTO corrections (page_id, key, goal_id, adjustment, reason, description, amount, progress,
                    goal_state, first_sequence, last_sequence)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                """,
                page.rawValue, key.text, adjustment.goal, adjustment.amountInCents, adjustment.reason,
                goal.description, goal.amountInCents, goal.progressInCents, adjustment.answer.state.rawValue,
                adjustment.sequences.lowerBound, adjustment.sequences.upperBound)
        }
    }

    private func writeRefunds() throws {
        guard !refunds.isEmpty else { return }
        try db.execute(
            """
            UPDATE tips SET refunded_at = new.at, refund_first_sequence = new.first, refund_last_sequence = new.last
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS new (tip, at, first, last)
            WHERE last_sequence = new.tip
            """,
            refunds.map(\.sequences.upperBound), PostgresValue.ints(refunds.map { $0.tip.refundedAt?.milliseconds }),
            PostgresValue.ints(refunds.map { $0.refundSequences?.lowerBound }),
            PostgresValue.ints(refunds.map { $0.refundSequences?.upperBound }))
    }
}
