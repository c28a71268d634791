import GRDB
import GRDBSQLite
import NIOCore

/// A prepared statement whose values go straight into SQLite's places.
///
/// For those that run for each tip or each commit: GRDB boxes every value, checks the list of them and tells its observers, which takes
/// longer than the insert itself. Everything else is written in GRDB's terms. One SQL text is run either in this way or in
/// GRDB's, never in both: each leaves the statement as it needs it.
struct DirectStatement {
    private let handle: SQLiteStatement
    /// Owns the handle.
    private let statement: Statement

    init(_ db: Database, sql: String) throws {
        statement = try db.cachedStatement(sql: sql)
        handle = statement.sqliteStatement
    }

    /// Runs a statement that answers nothing. `fill` gives every value, in the order of the places.
    func run(_ fill: (inout Places) -> Void) throws {
        defer { sqlite3_reset(handle) }
        _ = try step(fill)
    }

    /// What `read` makes of the first row; nil if there is none.
    func first<Value>(_ fill: (inout Places) -> Void = { _ in }, _ read: (Columns) throws -> Value) throws -> Value? {
        defer { sqlite3_reset(handle) }
        return try step(fill) ? try read(Columns(handle: handle)) : nil
    }

    /// What it makes of each row.
    func all<Value>(_ fill: (inout Places) -> Void = { _ in }, _ read: (Columns) throws -> Value) throws -> [Value] {
        defer { sqlite3_reset(handle) }
        var values: [Value] = []
        var isRow = try step(fill)
        while isRow {
            values.append(try read(Columns(handle: handle)))
            isRow = try step()
        }
        return values
    }

    /// - Returns: whether there is a row.
    private func step(_ fill: (inout Places) -> Void) throws -> Bool {
        var places = Places(handle: handle)
        fill(&places)
        precondition(places.filled == sqlite3_bind_parameter_count(handle), "a place of the statement was left empty")
        guard places.status == SQLITE_OK else { throw failure(places.status) }
        return try step()
    }

    private func step() throws -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: true
        case SQLITE_DONE: false
        case let status: throw failure(status)
        }
    }

    private func failure(_ status: CInt) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: status),
            message: String(cString: sqlite3_errmsg(sqlite3_db_handle(handle))), sql: statement.sql)
    }

    /// The values of a row, from 0 on, none of which may be NULL.
    struct Columns {
        fileprivate let handle: SQLiteStatement

        func integer(_ column: CInt) -> Int64 { sqlite3_column_int64(handle, column) }

        func text(_ column: CInt) -> String {
            guard let start = sqlite3_column_text(handle, column) else { return "" }
            let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The statement's `?`, one after the other.
    struct Places {
        fileprivate let handle: SQLiteStatement
        fileprivate var filled: CInt = 0
        fileprivate var status = SQLITE_OK

        /// SQLite makes a copy before the call returns.
        private static var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

        private mutating func put(_ bind: (SQLiteStatement, CInt) -> CInt) {
            filled += 1
            let outcome = bind(handle, filled)
            if status == SQLITE_OK { status = outcome }
        }

        mutating func put(_ value: Int64) { put { sqlite3_bind_int64($0, $1, value) } }
        mutating func put(_ value: Int) { put(Int64(value)) }
        mutating func put(_ value: Bool) { put(value ? 1 : 0 as Int64) }
        mutating func put(_ value: Int64?) {
            if let value { put(value) } else { put { sqlite3_bind_null($0, $1) } }
        }

        mutating func put(_ value: String) {
            var value = value
            value.withUTF8 { put(UnsafeRawBufferPointer($0)) }
        }

        mutating func put(_ value: String?) {
            if let value { put(value) } else { put { sqlite3_bind_null($0, $1) } }
        }

        /// UTF-8.
        mutating func put(_ text: ByteBuffer) { text.withUnsafeReadableBytes { put($0) } }

        private mutating func put(_ text: UnsafeRawBufferPointer) {
            put { handle, place in
                // An empty text has no address, and without one SQLite would take it for NULL.
                guard let start = text.baseAddress else { return sqlite3_bind_text(handle, place, "", 0, Self.copied) }
                return sqlite3_bind_text(
                    handle, place, start.assumingMemoryBound(to: CChar.self), CInt(text.count), Self.copied)
            }
        }
    }
}
