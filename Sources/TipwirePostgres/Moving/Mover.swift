import TipwireStore

/// One copying of a snapshot into a database, inside one transaction.
struct Mover {
    /// How long to wait for whoever reads the tables that are to be replaced.
    private static let lockSeconds = 10

    private let source: SQLiteSnapshot
    private let db: PostgresConnection

    init(_ source: SQLiteSnapshot, to db: PostgresConnection) {
        self.source = source
        self.db = db
    }

    func run() throws -> MovedStore {
        let log = try source.log()
        let isRepeated = try requireReplaceable(by: log)
        try empty()
        let tables = try StoredTable.all.map { table in (name: table.name, rows: try copy(table)) }
        for table in StoredTable.all { try goOn(numbering: table) }
        try compare()
        // A server that starts now must not plan its reads for empty tables.
        try db.script("ANALYZE \(names)")
        return MovedStore(tables: tables, bounds: log.bounds, isRepeated: isRepeated)
    }

    private var names: String { StoredTable.all.map(\.name).joined(separator: ", ") }

    /// Throws unless what is there is nothing, or a copy of this very log that nobody has written to.
    ///
    /// - Returns: whether it is a copy.
    private func requireReplaceable(by log: LogRow) throws -> Bool {
        let there = try LogRow.lock(db)
        guard there.epoch == log.epoch else {
            let row = try db.execute(
                "SELECT (SELECT count(*) FROM pages) + (SELECT count(*) FROM events) + (SELECT count(*) FROM tips)")[0]
            guard row[0] as Int64 == 0, there.head == 0 else {
                throw MovingRefusal(
                    description:
                        "the PostgreSQL database already holds pages or events of another Tipwire; choose an empty one")
            }
            return false
        }
        // Each batch that a server commits leaves a mark; a copy has none. What else a server may have done there alone
        // shows by its time.
        let marks: Int64 = try db.execute("SELECT count(*) FROM batches")[0][0]
        let trace = try measure(.latestTrace)
        guard marks == 0, there.head <= log.head, try trace <= source.measure(.latestTrace) else {
            throw MovingRefusal(
                description: "a server has written to the PostgreSQL database since it was moved there, which another "
                    + "move would undo; if that is what you want, DROP SCHEMA \(Schema.name) CASCADE first")
        }
        return true
    }

    /// Marks of batches go too: a server looks for those of its own alone.
    private func empty() throws {
        try db.script("SET LOCAL lock_timeout = '\(Self.lockSeconds)s'")
        do {
            try db.script("TRUNCATE \(names), batches")
        } catch let error as PostgresError where error.state == PostgresError.lockNotAvailable {
            throw MovingRefusal(
                description:
                    "another program is using the tables in the PostgreSQL database; try again when it is done")
        }
    }

    private func copy(_ table: StoredTable) throws -> Int {
        let values = table.columns.enumerated().map { "$\($0.offset + 1)::\($0.element.kind.listType)" }
        let sql =
            "INSERT INTO \(table.name) (\(table.columnList)) SELECT * FROM unnest(\(values.joined(separator: ", ")))"
        var count = 0
        do {
            try source.rows(of: table) { batch in
                try db.execute(sql, arguments: batch.columns.map(\.postgresValue))
                count += batch.rows
            }
        } catch let error as PostgresError {
            guard error.fault == nil else { throw error }
            // Rows that one store has kept and the other refuses: the file was edited, or is damaged.
            throw MovingRefusal(
                description: "table '\(table.name)' can't be moved: \(error); ask 'tipwire doctor' about the file")
        }
        return count
    }

    /// The next number is one that no row has ever had. In the transaction, unlike `setval`.
    private func goOn(numbering table: StoredTable) throws {
        guard let column = table.numbered else { return }
        let highest: Int64 = try db.execute("SELECT coalesce(max(\(column)), 0) FROM \(table.name)")[0][0]
        let next = max(highest, try source.highestNumber(of: table)) + 1
        try db.script("ALTER TABLE \(table.name) ALTER COLUMN \(column) RESTART WITH \(next)")
    }

    private func measure(_ measure: StoreMeasure) throws -> Int64 { try db.execute(measure.sql)[0][0] }

    private func compare() throws {
        for measure in StoreMeasure.all {
            let here = try source.measure(measure)
            let there = try self.measure(measure)
            guard here == there else {
                throw MovingRefusal(
                    description:
                        "the copy differs, so nothing was kept: \(measure.name) is \(here) in the file and \(there) in "
                        + "PostgreSQL")
            }
        }
    }
}

extension StoredTable.Kind {
    fileprivate var listType: String {
        switch self {
        case .integer: "bigint[]"
        case .flag: "boolean[]"
        case .text: "text[]"
        case .bytes: "bytea[]"
        }
    }
}

extension StoredRowBatch.Values {
    fileprivate var postgresValue: PostgresValue {
        switch self {
        case .integers(let list): .ints(list)
        case .flags(let list): .bools(list)
        case .texts(let list): .texts(list)
        case .bytes(let list): .blobs(list)
        }
    }
}
