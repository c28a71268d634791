import TipwireCore
import TipwireStore

/// What a move has copied.
package struct MovedStore: Sendable {
    /// In the order in which they were copied.
    package let tables: [(name: String, rows: Int)]
    package let bounds: LogBounds
    /// Whether the database held an earlier copy, which this one has taken the place of.
    package let isRepeated: Bool
}

/// Why nothing was moved, in one line for the operator.
package struct MovingRefusal: Error, CustomStringConvertible {
    package let description: String
}

extension PostgresStore {
    /// Makes this database hold what the SQLite file at `path` holds: ids, numbers, keys, cursors and the log's epoch.
    ///
    /// All in one transaction: what throws has changed nothing. Both sides are compared before it is kept. What an
    /// earlier move from the same log has left is replaced, so it can be repeated until a server has written to the copy.
    ///
    /// The store must be open alone, and no server may use the file: what it took meanwhile would stay behind.
    package func move(from path: String) async throws -> MovedStore {
        try await write { db in
            try SQLiteSnapshot.read(path) { source in try Mover(source, to: db).run() }
        }
    }
}
