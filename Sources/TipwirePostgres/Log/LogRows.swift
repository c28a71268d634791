import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

extension LogRow {
    private static let columns = "epoch, head, pruned_through, committed_at, events, bytes"

    static func read(_ db: PostgresConnection) throws -> LogRow {
        try row(db.execute("SELECT \(columns) FROM log"))
    }

    /// The same, of the log that this process serves alone.
    static func read(_ db: PostgresConnection, of memory: LogMemory) throws -> LogRow {
        let log = try read(db)
        try memory.require(log)
        return log
    }

    /// The same, with the version of the directory in the same snapshot.
    static func readWithDirectory(
        _ db: PostgresConnection, of memory: LogMemory
    ) throws -> (log: LogRow, version: Int64) {
        let rows = try db.execute("SELECT \(columns), (SELECT directory FROM changes) FROM log")
        let log = try row(rows)
        try memory.require(log)
        return (log, rows[0][6])
    }

    /// The same, held against all others until the transaction ends. The first statement of whoever changes the log.
    static func lock(_ db: PostgresConnection) throws -> LogRow {
        try row(db.execute("SELECT \(columns) FROM log FOR UPDATE"))
    }

    private static func row(_ rows: PostgresResult) throws -> LogRow {
        guard let row = rows.first else { throw DamagedRow(table: "log", problem: "it is empty") }
        return LogRow(
            epoch: row[0], head: row[1], prunedThrough: row[2], committedAt: Timestamp(milliseconds: row[3]),
            events: row[4], bytes: row[5])
    }

    func write(_ db: PostgresConnection) throws {
        try db.execute(
            """
            UPDATE log SET epoch = $1, head = $2, pruned_through = $3, committed_at = $4, events = $5, bytes = $6
            RETURNING \(NewsChannel.tell("log", "head"))
            """, epoch, head, prunedThrough, committedAt.milliseconds, events, bytes)
    }
}

extension Event {
    static let columns = "sequence, page_id, kind, time, data"

    init(_ row: PostgresRow) throws {
        self.init(
            sequence: row[0], page: Page.ID(rawValue: row[1]), time: Timestamp(milliseconds: row[3]),
            body: try EventData.decode(kind: row[2], data: row[4]))
    }
}

extension TipRow {
    static let columns = """
        id, display_name, message, gross, fee, is_anonymous, created_at, processed_at, refunded_at, stated_created_at, \
        first_sequence, last_sequence, refund_first_sequence, refund_last_sequence, credits
        """

    /// Those of these tips that there are.
    static func named(_ names: [TipName], _ db: PostgresConnection) throws -> [TipName: TipRow] {
        let rows = try db.execute(
            """
            SELECT page_id, \(columns) FROM tips
            JOIN unnest($1::bigint[], $2::text[]) AS wanted (page_id, id) USING (page_id, id)
            """, names.map(\.page.rawValue), names.map(\.id.text))
        return try rows.reduce(into: [:]) { tips, row in
            let tip = try TipRow(row, from: 1)
            tips[TipName(page: Page.ID(rawValue: row[0]), id: tip.tip.id)] = tip
        }
    }

    /// - Parameter first: the place of the first of `columns`.
    init(_ row: PostgresRow, from first: Int = 0) throws {
        guard let id = TipIdentifier(row[first]) else { throw DamagedRow(table: "tips", problem: "bad id") }
        var refund: ClosedRange<Int64>?
        if let begin = row[first + 12] as Int64?, let end = row[first + 13] as Int64? { refund = begin...end }
        self.init(
            tip: Tip(
                id: id, displayName: row[first + 1], message: row[first + 2], grossAmountInCents: row[first + 3],
                processingFeeInCents: row[first + 4], isAnonymous: row[first + 5],
                createdAt: Timestamp(milliseconds: row[first + 6]),
                processedAt: Timestamp(milliseconds: row[first + 7]), refundedAt: row.time(first + 8)),
            statedCreatedAt: row.time(first + 9), sequences: row[first + 10]...row[first + 11],
            refundSequences: refund, creditsText: row[first + 14])
    }
}

extension CorrectionRow {
    static let columns = """
        tip_id, goal_id, adjustment, reason, description, amount, progress, goal_state, first_sequence, last_sequence
        """

    init(_ row: PostgresRow, from first: Int) throws {
        if let tip = (row[first] as String?).flatMap(TipIdentifier.init) {
            self = .refund(tip)
            return
        }
        guard let goal = row[first + 1] as String?, let state = (row[first + 7] as String?).flatMap(Goal.State.init)
        else { throw DamagedRow(table: "corrections", problem: "neither a refund nor an adjustment") }
        self = .adjustment(
            Adjustment(
                goal: goal, amountInCents: row[first + 2], reason: row[first + 3],
                answer: ListedGoal(
                    Goal(
                        id: goal, description: row[first + 4], amountInCents: row[first + 5],
                        progressInCents: row[first + 6]), state),
                sequences: row[first + 8]...row[first + 9]))
    }
}
