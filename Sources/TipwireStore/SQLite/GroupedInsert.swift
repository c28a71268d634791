import GRDB

/// New rows of one table, several with each statement.
///
/// A third of what an insert costs is the statement's and not the row's: cursors that are opened on the table and on each of its
/// indexes, and closed again, and what SQLite looks at before and after it runs anything. Rows wait here until there are enough for
/// one long statement, and `flush` writes those that are left. It is due before anybody asks the table for them, and before the
/// transaction ends.
struct GroupedInsert<Row> {
    private let db: Database
    private let statements: InsertStatements
    private let fill: (Row, inout DirectStatement.Places) -> Void
    /// Rows that are not in the table yet, oldest first: fewer than the longest statement takes.
    private(set) var waiting: [Row] = []

    /// - Parameter fill: gives a row's values in the order of the columns.
    init(
        _ db: Database, _ statements: InsertStatements,
        fill: @escaping (Row, inout DirectStatement.Places) -> Void
    ) {
        self.db = db
        self.statements = statements
        self.fill = fill
    }

    mutating func add(_ row: Row) throws {
        waiting.append(row)
        if waiting.count == InsertStatements.longest { try flush() }
    }

    /// Writes all that wait.
    mutating func flush() throws {
        var rest = waiting[...]
        for (rows, sql) in statements.byRows where rest.count >= rows {
            let statement = try DirectStatement(db, sql: sql)
            while rest.count >= rows {
                try statement.run { places in
                    for row in rest.prefix(rows) { fill(row, &places) }
                }
                rest = rest.dropFirst(rows)
            }
        }
        waiting.removeAll(keepingCapacity: true)
    }
}

/// The texts of `INSERT` statements for one and for several rows of the same columns.
struct InsertStatements: Sendable {
    /// Rows of one statement. With sixteen nearly all is saved that can be; what is no multiple of it must not go row by row.
    private static let sizes = [16, 4, 1]
    static let longest = sizes[0]

    /// The longest first; one of a single row is the last.
    let byRows: [(rows: Int, sql: String)]

    init(into table: String, _ columns: [String]) {
        let row = "(" + columns.map { _ in "?" }.joined(separator: ", ") + ")"
        byRows = Self.sizes.map { rows in
            let values = repeatElement(row, count: rows).joined(separator: ", ")
            return (rows, "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES \(values)")
        }
    }
}
