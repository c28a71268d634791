import Foundation
import GRDB
import NIOCore
import TipwireCore

/// A database file as it is at one moment, to be read table by table. Nothing is written.
package struct SQLiteSnapshot {
    private let db: Database

    /// Reads the database at `path`, also while a server uses it.
    ///
    /// Throws `StoreUnusable`, one line for the operator, unless the file is a database of this version.
    package static func read<T>(_ path: String, _ body: (SQLiteSnapshot) throws -> T) throws -> T {
        try SQLiteStore.reading(path) { db in try body(SQLiteSnapshot(db: db)) }
    }

    package func log() throws -> LogRow { try LogRow.read(db) }

    package func measure(_ measure: StoreMeasure) throws -> Int64 {
        guard let number = try Int64.fetchOne(db, sql: measure.sql) else {
            throw DamagedRow(table: "log", problem: "it is empty")
        }
        return number
    }

    /// The highest number that a table has ever given out, to a row that may be gone; 0 for none.
    package func highestNumber(of table: StoredTable) throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = ?", arguments: [table.name]) ?? 0
    }

    /// Gives all rows of a table to `body`, some at a time.
    package func rows(of table: StoredTable, _ body: (StoredRowBatch) throws -> Void) throws {
        let columns = table.columns.map { $0.kind == .bytes ? "CAST(\($0.name) AS BLOB)" : $0.name }
        let rows = try Row.fetchCursor(db, sql: "SELECT \(columns.joined(separator: ", ")) FROM \(table.name)")
        var batch = StoredRowBatch(of: table)
        while let row = try rows.next() {
            batch.append(SnapshotRow(row: row))
            guard batch.isFull else { continue }
            try body(batch)
            batch = StoredRowBatch(of: table)
        }
        if batch.rows > 0 { try body(batch) }
    }
}

private struct SnapshotRow: StoredRow {
    let row: Row

    func integer(_ column: Int) -> Int64? { row[column] }
    func flag(_ column: Int) -> Bool { row[column] }
    func text(_ column: Int) -> String? { row[column] }

    func bytes(_ column: Int) -> ByteBuffer? {
        (row[column] as Data?).map { ByteBuffer(bytes: $0) }
    }
}

extension SQLiteStore {
    /// Runs `body` on one snapshot of the file at `path`, on a connection that writes nothing.
    ///
    /// Throws `StoreUnusable` when the file can't be read as a database of this version.
    static func reading<T>(_ path: String, _ body: (Database) throws -> T) throws -> T {
        var configuration = Configuration()
        configuration.label = "tipwire.reading"
        configuration.busyMode = .timeout(LockPatience.limit)
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
                return try body(db)
            }
        } catch let error as DatabaseError {
            throw StoreUnusable("the database \(path) can't be used: \(explanation(of: error))")
        } catch let error as DamagedRow {
            throw StoreUnusable("the database \(path) is damaged: \(error)")
        }
    }
}
