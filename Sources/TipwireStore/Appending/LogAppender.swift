import NIOCore
import TipwireCore
import TipwireWire

/// One batch of commands on its way into the log, inside one write transaction.
///
/// Each command is first decided and only then written, so that a refused one leaves nothing behind and needs no
/// savepoint. What an earlier command of the batch wrote is in the tables already, or in `pages`: a later one finds it.
package struct LogAppender<Tables: LogTables> {
    package var tables: Tables
    package private(set) var log: LogRow
    private var changed = false
    /// The time of everything in this batch.
    let time: Timestamp
    /// The pages of this batch as they stand now.
    var pages: [Page.ID: PageState] = [:]

    struct PageState {
        let label: PageLabel
        var reducer: PageReducer
        /// The goals as the table has them; what differs at the end of the batch is written then, once.
        let stored: GoalQueue
    }

    package init(_ tables: Tables, at now: Timestamp) throws {
        self.tables = tables
        log = try tables.readLog()
        time = max(now, log.committedAt)
    }

    package mutating func apply(_ command: LogCommand) throws -> Result<[LogAnswer], LogRefusal> {
        switch command {
        case .receive(let page, let drafts, let key):
            guard try load(page) else { return .failure(.unknownPage) }
            return try receive(drafts, key: key, page: page)
        case .replay(let page, let id):
            guard try load(page) else { return .failure(.unknownPage) }
            guard let row = try tables.tip(id, of: page) else { return .failure(.unknownTip) }
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
    package mutating func finish() throws -> LogBounds {
        // A batch of nothing but repeats and refusals writes nothing, and its commit costs no sync.
        if changed {
            for (page, state) in pages {
                try tables.write(state.reducer.queue, over: state.stored, of: page)
            }
            log.committedAt = time
            try tables.write(log)
        }
        return log.bounds
    }
}

// MARK: - Parts

extension LogAppender {
    /// Makes the page's state ready in `pages`; false if there is no such page.
    private mutating func load(_ page: Page.ID) throws -> Bool {
        if pages[page] != nil { return true }
        guard let (label, goals) = try tables.page(page) else { return false }
        pages[page] = PageState(label: label, reducer: PageReducer(queue: goals), stored: goals)
        return true
    }

    /// Puts `bodies` at the head of the log, one after the other.
    mutating func append(_ bodies: [EventBody], to page: Page.ID) throws -> [Event] {
        let label = pages[page]!.label
        var events: [Event] = []
        events.reserveCapacity(bodies.count)
        for body in bodies {
            let data = EventData.encode(body, page: label)
            let event = Event(sequence: log.head + 1, page: page, time: time, body: body)
            try tables.insert(event, data: data)
            log.head = event.sequence
            log.events += 1
            log.bytes += Int64(data.readableBytes) + LogRow.allowancePerEvent
            changed = true
            events.append(event)
        }
        return events
    }

    func answer(_ subject: LogAnswer.Subject, _ page: Page.ID, _ events: [Event]) -> LogAnswer {
        // Not `log.head`: this is called with the events as an argument, on a `self` that was read before they were made.
        LogAnswer(
            subject: subject, page: pages[page]!.label, events: events,
            lastSequence: events[events.count - 1].sequence, isRepeat: false)
    }

    mutating func repeatedAnswer(
        _ subject: LogAnswer.Subject, _ page: Page.ID, _ sequences: ClosedRange<Int64>
    ) throws -> LogAnswer {
        // None when retention has removed any of them: half a first answer would look like another one.
        let events = sequences.lowerBound > log.prunedThrough ? try tables.events(sequences) : []
        return LogAnswer(
            subject: subject, page: pages[page]!.label, events: events, lastSequence: sequences.upperBound,
            isRepeat: true)
    }
}
