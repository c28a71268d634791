import GRDB
import TipwireCore

/// New rows of one table, several with each statement.
///
/// A third of what an insert costs is the statement's and not the row's: cursors that are opened on the table and on each of its
/// indexes, and closed again, and what SQLite looks at before and after it runs anything. Rows wait here until there are enough for
/// one long statement, and `flush` writes those that are left. It is due before anybody asks the table for them, and before the
/// transaction ends.
///
/// Only rows of one page go together. A statement of several rows may fail at the last of them, so SQLite keeps each page of the
/// file as it was before the statement changed it, and rows of many tip pages change a leaf of each index for each: that costs as
/// much as is saved.
struct GroupedInsert<Row> {
    private let db: Database
    private let statements: InsertStatements
    /// For a row by itself. The longer ones are looked up when they are needed, which most commits don't.
    private let single: DirectStatement
    private let fill: (Row, Page.ID, inout DirectStatement.Places) -> Void
    /// Rows that are not in the table yet, oldest first: fewer than the longest statement takes.
    private(set) var waiting: [Row] = []
    /// Whose they are.
    private(set) var page: Page.ID?

    /// - Parameter fill: gives a row's values in the order of the columns.
    init(
        _ db: Database, _ statements: InsertStatements,
        fill: @escaping (Row, Page.ID, inout DirectStatement.Places) -> Void
    ) throws {
        self.db = db
        self.statements = statements
        single = try DirectStatement(db, sql: statements.single)
        self.fill = fill
    }

    mutating func add(_ row: Row, of page: Page.ID) throws {
        if page != self.page {
            try flush()
            self.page = page
        }
        waiting.append(row)
        if waiting.count == InsertStatements.longest { try flush() }
    }

    /// Writes all that wait.
    mutating func flush() throws {
        guard let page else { return }
        var written = 0
        for (rows, sql) in statements.longer where waiting.count - written >= rows {
            let statement = try DirectStatement(db, sql: sql)
            while waiting.count - written >= rows {
                try statement.run { places in
                    for index in written..<written + rows { fill(waiting[index], page, &places) }
                }
                written += rows
            }
        }
        for index in written..<waiting.count { try single.run { fill(waiting[index], page, &$0) } }
        waiting.removeAll(keepingCapacity: true)
    }
}

/// The texts of `INSERT` statements for one and for several rows of the same columns.
struct InsertStatements: Sendable {
    /// Rows of one statement. With sixteen nearly all is saved that can be; what is no multiple of it must not go row by row.
    private static let sizes = [16, 4]
    static let longest = sizes[0]

    let single: String
    /// The longest first.
    let longer: [(rows: Int, sql: String)]

    init(into table: String, _ columns: [String]) {
        let row = "(" + columns.map { _ in "?" }.joined(separator: ", ") + ")"
        func text(rows: Int) -> String {
            let values = repeatElement(row, count: rows).joined(separator: ", ")
            return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES \(values)"
        }
        single = text(rows: 1)
        longer = Self.sizes.map { ($0, text(rows: $0)) }
    }
}
