import NIOCore
import TipwireCore

/// The rows that a statement answered with.
struct PostgresResult: RandomAccessCollection {
    /// Owns what libpq has allocated.
    fileprivate final class Storage {
        let library: LibPQ
        let outcome: LibPQ.Outcome

        init(_ library: LibPQ, _ outcome: LibPQ.Outcome) {
            self.library = library
            self.outcome = outcome
        }

        deinit { library.clear(outcome) }
    }

    private let storage: Storage
    let count: Int
    /// Rows that an INSERT, UPDATE or DELETE touched.
    var affected: Int { storage.library.affectedRows(storage.outcome).flatMap { Int(String(cString: $0)) } ?? 0 }

    /// Takes over `outcome`.
    init(_ library: LibPQ, _ outcome: LibPQ.Outcome) {
        storage = Storage(library, outcome)
        count = Int(library.rowCount(outcome))
    }

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    subscript(position: Int) -> PostgresRow {
        precondition(position >= 0 && position < count, "there is no such row")
        return PostgresRow(storage: storage, row: CInt(position))
    }
}

/// A row of a result.
struct PostgresRow {
    fileprivate let storage: PostgresResult.Storage
    fileprivate let row: CInt

    /// The value of a column. Another type than the column's, or NULL where the type has none, is a programming error.
    subscript<T: PostgresDecodable>(_ column: Int) -> T {
        let library = storage.library
        precondition(column >= 0 && column < Int(library.columnCount(storage.outcome)), "there is no such column")
        guard library.isNull(storage.outcome, row, CInt(column)) == 0 else { return T.null() }
        let length = Int(library.length(storage.outcome, row, CInt(column)))
        let bytes = UnsafeRawBufferPointer(start: library.value(storage.outcome, row, CInt(column)), count: length)
        return T(binary: bytes)
    }

    func time(_ column: Int) -> Timestamp? { (self[column] as Int64?).map(Timestamp.init(milliseconds:)) }
}

/// What a column's value can be read as, from PostgreSQL's binary form.
protocol PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer)
    static func null() -> Self
}

extension PostgresDecodable {
    static func null() -> Self { preconditionFailure("a column that isn't NULL is read, and it is NULL") }
}

extension Int64: PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer) {
        switch bytes.count {
        case 8: self = Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        case 4: self = Int64(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
        default: preconditionFailure("a column is read as an integer, and it is none")
        }
    }
}

extension Int: PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer) { self.init(Int64(binary: bytes)) }
}

extension Bool: PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 1, "a column is read as a truth value, and it is none")
        self = bytes[0] != 0
    }
}

extension String: PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer) { self.init(decoding: bytes, as: UTF8.self) }
}

extension ByteBuffer: PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer) { self.init(bytes: bytes) }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    init(binary bytes: UnsafeRawBufferPointer) { self = .some(Wrapped(binary: bytes)) }
    static func null() -> Wrapped? { nil }
}
