import GRDB
import NIOCore
import TipwireCore
import TipwireWire

/// What a look through a whole database found.
public struct StoreAudit: Sendable {
    /// Each a line for the operator; none in a sound database.
    public internal(set) var problems: [String] = []
    public internal(set) var pages = 0
    public internal(set) var goals = 0
    public internal(set) var events = 0
    /// Of the last event; nil for an empty log.
    public internal(set) var lastCommit: Timestamp?
}

extension SQLiteStore {
    /// Checks the database at `path`, also while a server uses it: one snapshot is read, and nothing is written.
    ///
    /// The file's own integrity, the log's counts against its entries, that every entry can be read, and for each page that
    /// the log leads to the goals that the store holds. Takes as long as reading everything once. Throws `StoreUnusable` when
    /// the file can't be read as a database of this version.
    public static func audit(at path: String) throws -> StoreAudit {
        var configuration = Configuration()
        configuration.label = "tipwire.audit"
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.prepareDatabase { db in
            try Schema.requireReadable(db, path: path)
            try db.execute(sql: "PRAGMA query_only = ON")
        }
        do {
            // Not `readonly`: without a server the write-ahead log of a killed one may have to be recovered before the file
            // says what it holds.
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            return try queue.read { db in
                guard try Schema.migrator.hasCompletedMigrations(db) else {
                    guard try Int.fetchOne(db, sql: "PRAGMA page_count") != 0 else {
                        throw StoreUnusable("the database \(path) is empty: nothing was ever stored in it")
                    }
                    throw StoreUnusable(
                        "the database \(path) is of an older version; start this version's server on it once")
                }
                var auditor = try Auditor(db)
                return try auditor.run()
            }
        } catch let error as DatabaseError {
            throw StoreUnusable("the database \(path) can't be used: \(explanation(of: error))")
        } catch let error as DamagedRow {
            throw StoreUnusable("the database \(path) is damaged: \(error)")
        }
    }
}

/// One look through a database.
private struct Auditor {
    private let db: Database
    private let log: LogRow
    private var audit = StoreAudit()
    private var slugs: [Page.ID: String] = [:]
    private var replays: [Page.ID: GoalReplay] = [:]
    /// Pages whose replay has failed: what follows there would only repeat it.
    private var broken: Set<Page.ID> = []

    init(_ db: Database) throws {
        self.db = db
        log = try LogRow.read(db)
    }

    mutating func run() throws -> StoreAudit {
        for problem in try String.fetchAll(db, sql: "PRAGMA quick_check(10)") where problem != "ok" {
            audit.problems.append("the file is damaged: \(problem)")
        }
        for row in try Row.fetchAll(db, sql: "PRAGMA foreign_key_check") {
            audit.problems.append(
                "table '\(row[0] as String)' refers to a row of '\(row[2] as String)' that isn't there")
        }
        for row in try Row.fetchAll(db, sql: "SELECT id, slug FROM pages") {
            slugs[Page.ID(rawValue: row[0])] = row[1]
        }
        audit.pages = slugs.count
        for page in slugs.keys { replays[page] = GoalReplay(from: try GoalRows.pruned.read(db, page: page)) }
        try readLog()
        try findUntold()
        try compareGoals()
        return audit
    }

    private mutating func readLog() throws {
        var bytes: Int64 = 0
        let rows = try Row.fetchCursor(
            db, sql: "SELECT \(Event.columns), length(CAST(data AS BLOB)) FROM events ORDER BY sequence")
        while let row = try rows.next() {
            let sequence: Int64 = row[0]
            let time = Timestamp(milliseconds: row[3])
            audit.events += 1
            bytes += row[5] + LogRow.allowancePerEvent
            if sequence <= log.prunedThrough || sequence > log.head {
                audit.problems.append("event \(sequence) lies outside the log (\(log.prunedThrough) to \(log.head))")
            }
            if let last = audit.lastCommit, time < last {
                audit.problems.append("event \(sequence) is older than the one before it")
            }
            audit.lastCommit = time
            do {
                try follow(try Event(row))
            } catch let error as EventDataError {
                audit.problems.append("event \(sequence): \(error)")
                broken.insert(Page.ID(rawValue: row[1]))
            }
        }
        if log.events != audit.events {
            audit.problems.append("the log counts \(log.events) events and holds \(audit.events)")
        }
        if log.bytes != bytes { audit.problems.append("the log counts \(log.bytes) bytes and holds \(bytes)") }
    }

    private mutating func follow(_ event: Event) throws {
        guard !broken.contains(event.page) else { return }
        do {
            // In place: a copy of a long queue for each event would take longer than all the rest.
            try replays[event.page]?.apply(event.body)
        } catch {
            audit.problems.append("page '\(slugs[event.page] ?? "")', event \(event.sequence): \(error)")
            broken.insert(event.page)
            return
        }
        if let problem = try problem(withTipOf: event) {
            audit.problems.append("page '\(slugs[event.page] ?? "")', event \(event.sequence): \(problem)")
        }
    }

    /// What the table of tips says otherwise than the event: a refund is paid from there.
    private func problem(withTipOf event: Event) throws -> String? {
        switch event.body {
        case .tipReceived(let tip, _):
            guard let row = try row(of: tip.id, event.page) else { return "tip '\(tip.id)' is not in the store" }
            guard row.tip.grossAmountInCents == tip.grossAmountInCents,
                row.tip.processingFeeInCents == tip.processingFeeInCents
            else { return "tip '\(tip.id)' has another amount in the store" }
            let replay = replays[event.page]
            guard try row.credits() == replay?.credits ?? [] else {
                return "the store says that tip '\(tip.id)' gave other amounts to goals"
            }
            let last = event.sequence + Int64((replay?.tipEvents ?? 1) - 1)
            guard row.sequences == event.sequence...last else {
                return "the store looks for tip '\(tip.id)' elsewhere in the log"
            }
        case .tipRefunded(let tip):
            let row = try row(of: tip.id, event.page)
            guard row?.tip.refundedAt == tip.refundedAt, row?.refundSequences?.lowerBound == event.sequence else {
                return "the store doesn't hold this refund of tip '\(tip.id)'"
            }
        case .goalQueueChanged(_, .refunded(let id, let taken)):
            let given = try row(of: id, event.page)?.credits() ?? []
            for credit in taken
            where !given.contains(where: { $0.goal == credit.goal && $0.amountInCents >= credit.amountInCents }) {
                return "the refund of tip '\(id)' took more from a goal than the tip had given"
            }
        case .tipReplayed, .goalCompleted, .goalsChained, .goalQueueChanged: break
        }
        return nil
    }

    private func row(of tip: TipIdentifier, _ page: Page.ID) throws -> TipRow? {
        let statement = try db.cachedStatement(
            sql: "SELECT \(TipRow.columns) FROM tips WHERE page_id = ? AND id = ?")
        return try Row.fetchOne(statement, arguments: [page.rawValue, tip.text]).map(TipRow.init)
    }

    /// Tips and refunds that the log should tell of, and doesn't.
    private mutating func findUntold() throws {
        let tips = try String.fetchAll(
            db,
            sql: """
                SELECT id FROM tips WHERE first_sequence > ?1 AND NOT EXISTS (
                    SELECT 1 FROM events WHERE sequence = first_sequence AND kind = ?2)
                """, arguments: [log.prunedThrough, EventKind.tipReceived.rawValue])
        for tip in tips { audit.problems.append("the log doesn't tell of tip '\(tip)', which the store holds") }
        let refunds = try String.fetchAll(
            db,
            sql: """
                SELECT id FROM tips WHERE refund_first_sequence > ?1 AND NOT EXISTS (
                    SELECT 1 FROM events WHERE sequence = refund_first_sequence AND kind = ?2)
                """, arguments: [log.prunedThrough, EventKind.tipRefunded.rawValue])
        for tip in refunds { audit.problems.append("the log doesn't tell of the refund of tip '\(tip)'") }
    }

    private mutating func compareGoals() throws {
        for (page, slug) in slugs.sorted(by: { $0.value < $1.value }) {
            let stored = try GoalRows.current.read(db, page: page)
            audit.goals += stored.goals.count
            guard !broken.contains(page), let replay = replays[page] else { continue }
            do {
                try replay.finish()
            } catch {
                audit.problems.append("page '\(slug)': \(error)")
            }
            for difference in Self.differences(stored, replay.queue) {
                audit.problems.append("page '\(slug)': \(difference)")
            }
        }
    }

    /// What the two say differently, compared as the bytes that the API would show.
    private static func differences(_ stored: GoalQueue, _ replayed: GoalQueue) -> [String] {
        guard json(stored) != json(replayed) else { return [] }
        var texts: [String] = []
        let known = Dictionary(uniqueKeysWithValues: replayed.goals.map { ($0.id, $0) })
        for goal in stored.goals {
            guard let other = known[goal.id] else {
                texts.append("the store holds the goal '\(goal.id)', and the log doesn't lead to it")
                continue
            }
            if goal.progressInCents != other.progressInCents {
                texts.append(
                    "goal '\(goal.id)' has \(goal.progressInCents), and by the log it has \(other.progressInCents)")
            }
            if goal.amountInCents != other.amountInCents {
                texts.append("goal '\(goal.id)' takes \(goal.amountInCents), and by the log \(other.amountInCents)")
            }
            if !goal.description.utf8.elementsEqual(other.description.utf8) {
                texts.append("goal '\(goal.id)' is described otherwise than by the log")
            }
        }
        for goal in replayed.goals where !stored.goals.contains(where: { $0.id == goal.id }) {
            texts.append("the log leads to the goal '\(goal.id)', and the store doesn't hold it")
        }
        return texts.isEmpty ? ["the goals stand in another order than the log leads to"] : texts
    }

    private static func json(_ queue: GoalQueue) -> String {
        var writer = JSONWriter(capacity: 256)
        writer.beginArray()
        for goal in queue.listed { GoalObject.write(goal, to: &writer) }
        writer.endArray()
        return String(buffer: writer.finish())
    }
}
