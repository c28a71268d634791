import GRDB
import NIOCore
import TipwireCore
import TipwireWire

/// One batch of commands on its way into the log, inside one write transaction.
///
/// Each command is first decided and only then written, so that a refused one leaves nothing behind and needs no
/// savepoint. What an earlier command of the batch wrote is in the tables already: the lookups of a later one find it.
struct LogAppender {
    private let db: Database
    private var log: LogRow
    private var changed = false
    /// The time of everything in this batch.
    private let time: Timestamp
    private var pages: [Page.ID: PageState] = [:]

    private let findPage: Statement
    private let findTip: Statement
    private let findKey: Statement
    private let insertTip: Statement
    private let insertEvent: Statement

    private struct PageState {
        let label: PageLabel
        var reducer = PageReducer()
    }

    init(_ db: Database, at now: Timestamp) throws {
        self.db = db
        log = try LogRow.read(db)
        time = max(now, log.committedAt)
        // What each new tip looks up is one plain value: making a GRDB row takes longer than SQLite's search.
        findPage = try db.cachedStatement(sql: "SELECT currency || slug FROM pages WHERE id = ?")
        findTip = try db.cachedStatement(sql: "SELECT last_sequence FROM tips WHERE page_id = ? AND id = ?")
        findKey = try db.cachedStatement(sql: "SELECT tip_id FROM idempotency WHERE page_id = ? AND key = ?")
        insertTip = try db.cachedStatement(
            sql: """
                INSERT INTO tips (page_id, id, display_name, message, gross, fee, is_anonymous, stated_created_at,
                    created_at, processed_at, first_sequence, last_sequence)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        insertEvent = try db.cachedStatement(
            sql: "INSERT INTO events (sequence, page_id, kind, time, data) VALUES (?, ?, ?, ?, ?)")
    }

    mutating func apply(_ command: LogCommand) throws -> Result<[LogAnswer], LogRefusal> {
        switch command {
        case .receive(let page, let drafts, let key):
            guard try load(page) else { return .failure(.unknownPage) }
            return try receive(drafts, key: key, page: page)
        case .replay(let page, let id):
            guard try load(page) else { return .failure(.unknownPage) }
            guard let row = try tip(id, of: page) else { return .failure(.unknownTip) }
            return .success([answer(row.tip, page, try append(pages[page]!.reducer.replay(row.tip), to: page))])
        }
    }

    /// Writes the log's row, once for the whole batch, and says where the log now stands.
    mutating func finish() throws -> LogBounds {
        // A batch of nothing but repeats and refusals writes nothing, and its commit costs no sync.
        if changed {
            log.committedAt = time
            try log.write(db)
        }
        return log.bounds
    }
}

// MARK: - Receiving

extension LogAppender {
    /// What becomes of one draft.
    private enum Decision {
        case add(TipIdentifier)
        /// Answered as the call that made this tip.
        case repeats(TipRow)
        /// Answered as an earlier draft of the same command.
        case sameAs(Int)
    }

    private mutating func receive(
        _ drafts: [TipDraft], key: TipIdentifier?, page: Page.ID
    ) throws -> Result<[LogAnswer], LogRefusal> {
        precondition(key == nil || drafts.count == 1, "an idempotency key goes with exactly one draft")
        if let key, let row = try tip(key: key, of: page) {
            guard row.tip.isRepeated(by: drafts[0], statedCreatedAt: row.statedCreatedAt) else {
                return .failure(.conflict(index: 0, field: .idempotencyKey))
            }
            return .success([try repeatedAnswer(row, page)])
        }
        var answers: [LogAnswer] = []
        answers.reserveCapacity(drafts.count)
        switch try decide(drafts, page: page) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let decisions):
            for (draft, decision) in zip(drafts, decisions) {
                switch decision {
                case .add(let id): answers.append(try add(draft, id: id, page: page))
                case .repeats(let row): answers.append(try repeatedAnswer(row, page))
                case .sameAs(let first): answers.append(answers[first])
                }
            }
        }
        if let key { try remember(key, tip: answers[0].tip.id, page: page) }
        return .success(answers)
    }

    private func decide(_ drafts: [TipDraft], page: Page.ID) throws -> Result<[Decision], LogRefusal> {
        var decisions: [Decision] = []
        decisions.reserveCapacity(drafts.count)
        var firsts: [TipIdentifier: Int] = [:]
        for (index, draft) in drafts.enumerated() {
            guard let id = draft.id else {
                decisions.append(.add(.random()))
                continue
            }
            if let first = firsts[id] {
                guard drafts[first] == draft else { return .failure(.conflict(index: index, field: .tipID)) }
                decisions.append(.sameAs(first))
                continue
            }
            firsts[id] = index
            if let row = try tip(id, of: page) {
                guard row.tip.isRepeated(by: draft, statedCreatedAt: row.statedCreatedAt) else {
                    return .failure(.conflict(index: index, field: .tipID))
                }
                decisions.append(.repeats(row))
            } else {
                decisions.append(.add(id))
            }
        }
        return .success(decisions)
    }

    private mutating func add(_ draft: TipDraft, id: TipIdentifier, page: Page.ID) throws -> LogAnswer {
        let tip = Tip(draft, id: id, committedAt: time)
        let events = try append(pages[page]!.reducer.receive(tip), to: page)
        try insertTip.execute(arguments: [
            page.rawValue, id.text, tip.displayName, tip.message, tip.grossAmountInCents, tip.processingFeeInCents,
            tip.isAnonymous, draft.createdAt?.milliseconds, tip.createdAt.milliseconds, tip.processedAt.milliseconds,
            events[0].sequence, log.head,
        ])
        return answer(tip, page, events)
    }

    private func repeatedAnswer(_ row: TipRow, _ page: Page.ID) throws -> LogAnswer {
        var events: [Event] = []
        // All of them or none: half a first answer would look like another one.
        if row.sequences.lowerBound > log.prunedThrough {
            let statement = try db.cachedStatement(
                sql: "SELECT \(Event.columns) FROM events WHERE sequence BETWEEN ? AND ? ORDER BY sequence")
            let cursor = try Row.fetchCursor(
                statement, arguments: [row.sequences.lowerBound, row.sequences.upperBound])
            while let eventRow = try cursor.next() { events.append(try Event(eventRow)) }
        }
        var tip = row.tip
        tip.refundedAt = nil
        return LogAnswer(
            tip: tip, page: pages[page]!.label, events: events, lastSequence: row.sequences.upperBound, isRepeat: true)
    }

    private func remember(_ key: TipIdentifier, tip: TipIdentifier, page: Page.ID) throws {
        try db.cachedStatement(sql: "INSERT INTO idempotency (page_id, key, tip_id) VALUES (?, ?, ?)")
            .execute(arguments: [page.rawValue, key.text, tip.text])
    }
}

// MARK: - Rows

extension LogAppender {
    /// Makes the page's state ready in `pages`; false if there is no such page.
    private mutating func load(_ page: Page.ID) throws -> Bool {
        if pages[page] != nil { return true }
        guard let text = try String.fetchOne(findPage, arguments: [page.rawValue]) else { return false }
        // The schema holds a currency's code to three letters.
        guard let currency = Currency(code: String(text.prefix(3))), let slug = Slug(String(text.dropFirst(3))) else {
            throw DamagedRow(table: "pages", problem: "bad slug or currency")
        }
        pages[page] = PageState(label: PageLabel(slug: slug, currency: currency))
        return true
    }

    private func tip(_ id: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        guard let sequence = try Int64.fetchOne(findTip, arguments: [page.rawValue, id.text]) else { return nil }
        let statement = try db.cachedStatement(sql: "SELECT \(TipRow.columns) FROM tips WHERE last_sequence = ?")
        return try Row.fetchOne(statement, arguments: [sequence]).map(TipRow.init)
    }

    private func tip(key: TipIdentifier, of page: Page.ID) throws -> TipRow? {
        let id = try String.fetchOne(findKey, arguments: [page.rawValue, key.text])
        return try id.flatMap(TipIdentifier.init).flatMap { try tip($0, of: page) }
    }

    /// Puts `bodies` at the head of the log, one after the other.
    private mutating func append(_ bodies: [EventBody], to page: Page.ID) throws -> [Event] {
        let label = pages[page]!.label
        var events: [Event] = []
        events.reserveCapacity(bodies.count)
        for body in bodies {
            let data = EventData.encode(body, page: label)
            let event = Event(sequence: log.head + 1, page: page, time: time, body: body)
            try insertEvent.execute(arguments: [
                event.sequence, page.rawValue, body.kind.rawValue, time.milliseconds, String(buffer: data),
            ])
            log.head = event.sequence
            log.events += 1
            log.bytes += Int64(data.readableBytes) + LogRow.allowancePerEvent
            changed = true
            events.append(event)
        }
        return events
    }

    private func answer(_ tip: Tip, _ page: Page.ID, _ events: [Event]) -> LogAnswer {
        // Not `log.head`: this is called with the events as an argument, on a `self` that was read before they were made.
        LogAnswer(
            tip: tip, page: pages[page]!.label, events: events, lastSequence: events[events.count - 1].sequence,
            isRepeat: false)
    }
}
