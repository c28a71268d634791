import Dispatch
import GRDB
import TipwireCore

extension SQLiteStore: BackupStore {
    public func backUp(to path: String) async throws {
        // Copying blocks its thread for as long as it takes, which must be none of Swift's.
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue.global().async { [pool] in
                continuation.resume(with: Result { try Self.copy(pool, to: path) })
            }
        }
    }

    public func backupBytes() async throws -> Int64 {
        try await read { db in
            let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            return try pages * (Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
        }
    }

    private static func copy(_ pool: DatabasePool, to path: String) throws {
        do {
            let copy = try DatabaseQueue(path: path)
            // From a reader, in one step: it sees one commit, and the writer goes on beside it.
            try pool.backup(to: copy)
            // The copy has inherited the write-ahead log of its origin. A backup is one file, and reading it writes
            // nothing beside it.
            try copy.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA journal_mode = DELETE") }
            try copy.close()
        } catch let error as DatabaseError {
            throw fault(error) ?? error
        }
    }
}

// MARK: - Restoring

extension SQLiteStore {
    /// Throws `StoreUnusable` unless the file at `path` begins as a Tipwire database does.
    ///
    /// Looked at before it is opened: an empty file would be opened, and made into a new database.
    ///
    /// - Parameter hasLog: whether a write-ahead log lies beside it. Whose database it is may stand there alone, and is
    ///   found out when both are opened.
    public static func requireBackup(_ header: some Collection<UInt8>, hasLog: Bool, named path: String) throws {
        let header = Array(header)
        guard header.count >= 100, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw StoreUnusable("\(path) is not an SQLite database")
        }
        let id = header[68..<72].reduce(0) { $0 << 8 | Int($1) }
        guard id == Schema.applicationID || hasLog else { throw StoreUnusable("\(path) is not a database of Tipwire") }
    }

    /// Makes the log another history than the one that its listeners have seen: their cursors are answered `reset`.
    public func beginEpoch() async throws {
        try await write { db in
            try db.execute(sql: "UPDATE log SET epoch = ?", arguments: [PublicID.epoch()])
        }
    }
}
