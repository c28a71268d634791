import Dispatch
import GRDB
import Synchronization
import TipwireCore

/// The whole `Store` promise on one SQLite file.
///
/// One connection writes, on a thread of its own; up to `maximumReaders` others read committed snapshots beside
/// it and never wait for it (WAL). Nothing here blocks an event loop or Swift's cooperative pool.
///
/// The file belongs to one process at a time: locking the data folder is the server's business.
public final class SQLiteStore: Store, Sendable {
    /// Connections for reading. Reads are short; more of them would only wait for the same few cores, and each holds
    /// a page cache of 2 MB.
    static let maximumReaders = 4
    /// `PRAGMA synchronous`: 2 is FULL, every commit is synced to disk before it returns.
    static let fullSynchronous = 2
    /// SQLite pages (4 KiB) in the write-ahead log that start a checkpoint; SQLite's default is 1,000. A checkpoint copies
    /// each changed page once, however often it is in the log, and tips to many tip pages change the same leaves of the
    /// indexes again and again: the longer the log, the less is copied. Opening after a crash reads all of it, which is
    /// why it isn't longer still.
    static let checkpointPages = 4_000
    /// Bytes that the `-wal` file is cut back to after one huge transaction: twice what `checkpointPages` take.
    static let writeAheadLogBytes = 32 * 1024 * 1024
    /// Page cache of the writer, in KiB. SQLite's 2 MB are too few for the leaves of a thousand busy tip pages: they
    /// would be read back from the file in every commit.
    static let writerCacheKiB = 16 * 1024

    let pool: DatabasePool
    private let writer = PinnedThreads("store writer", count: 1) { BatchScheduling.adopt() }
    private let room = Mutex(WriteAheadRoom())
    private let patience: LockPatience

    private init(pool: DatabasePool, patience: LockPatience) {
        self.pool = pool
        self.patience = patience
    }

    deinit { writer.end() }

    /// Opens the database file at `path`, makes it if there is none, and brings its schema up to date. The folder
    /// must exist.
    ///
    /// Blocks, for as long as migrations take: meant for the start of the process. Throws `StoreUnusable` when the file
    /// is no database, is damaged, belongs to another program or to a newer Tipwire, or can't be synced as promised.
    public static func open(at path: String) throws -> SQLiteStore {
        do {
            let patience = LockPatience()
            let pool = try DatabasePool(path: path, configuration: configuration(path: path, patience))
            // Only now: opening a pool sets NORMAL, after `prepareDatabase` and whatever that has set.
            try pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try requireFullSynchronous(db, path: path)
            }
            try Schema.migrator.migrate(pool)
            // A statement of several rows keeps the pages that it changes as they were, to undo them if it fails at the last row: by
            // SQLite's default in a file as soon as they are sixteen, wherever the system has a folder for such. Those of a commit
            // are few. Not for migrations, which may have a whole table to sort.
            try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA temp_store = MEMORY") }
            // A database that has lost this row is noticed now, not by the first tip.
            _ = try pool.read { db in try LogRow.read(db) }
            return SQLiteStore(pool: pool, patience: patience)
        } catch let error as DatabaseError {
            throw StoreUnusable("the database \(path) can't be used: \(explanation(of: error))")
        } catch let error as DamagedRow {
            throw StoreUnusable("the database \(path) is damaged: \(error)")
        }
    }

    /// What waits for someone else's lock fails from here on: it may be held for longer than a server has for its end.
    public func hasten() { patience.end() }

    /// Waits for what is running, folds the write-ahead log back into the database file, and closes it. Every later
    /// call on the store throws.
    public func close() async throws {
        // A checkpoint that doesn't get through (a foreign reader holds the file) loses nothing: the next `open` reads
        // the write-ahead log that is left behind.
        _ = try? await onWriter { db in try db.checkpoint(.truncate) }
        await writer.close()
        // GRDB's `close` waits for readers by blocking its thread, which must not be one that they need.
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue.global().async { [pool] in
                continuation.resume(with: Result { try pool.close() })
            }
        }
    }
}

// MARK: - Access

extension SQLiteStore {
    /// Runs `body` on one committed snapshot.
    func read<T: Sendable>(_ body: @Sendable (Database) throws -> T) async throws -> T {
        do {
            return try await pool.read(body)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_INTERRUPT {
            // That is how a cancelled task ends what it reads.
            throw CancellationError()
        }
    }

    /// Runs `body` in one transaction, which is kept, synced to disk, when it returns, and undone when it throws.
    ///
    /// A disk that is full or fails is told as `StoreFull` and `StoreFailing`.
    func write<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            write(body) { continuation.resume(with: $0) }
        }
    }

    /// The same with a call at the end, on the thread that writes.
    func write<T: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> T, answer: @escaping @Sendable (Result<T, any Error>) -> Void
    ) {
        onWriter({ db in try self.transaction(db, body) }, answer: answer)
    }

    private func onWriter<T: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> T, answer: @escaping @Sendable (Result<T, any Error>) -> Void
    ) {
        let isTaken = writer.run { [pool] in
            answer(Result { try pool.writeWithoutTransaction(body) })
        }
        if !isTaken { answer(.failure(StoreFailing.closed)) }
    }

    private func transaction<T>(_ db: Database, _ body: (Database) throws -> T) throws -> T {
        do {
            // Prepared once. GRDB's own transactions have SQLite read these words anew each time, which for a single tip is as
            // much as an insert. Nor do they watch here for one that SQLite undoes by itself: no body goes on after an error.
            try db.cachedStatement(sql: "BEGIN IMMEDIATE TRANSACTION").execute()
            do {
                room.withLock { $0.keep(db) }
                let result = try body(db)
                try db.cachedStatement(sql: "COMMIT TRANSACTION").execute()
                return result
            } catch {
                try? db.rollback()
                throw error
            }
        } catch let error as DatabaseError {
            throw Self.fault(error) ?? error
        }
    }

    /// Runs `body` on the thread that writes.
    ///
    /// Not GRDB's own `async` writes: those roll back when the calling task is cancelled, and what was begun here
    /// is finished whatever becomes of its caller.
    private func onWriter<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            onWriter(body) { continuation.resume(with: $0) }
        }
    }
}

// MARK: - Opening

extension SQLiteStore {
    private static func configuration(path: String, _ patience: LockPatience) -> Configuration {
        var configuration = Configuration()
        configuration.label = "tipwire.store"
        configuration.maximumReaderCount = maximumReaders
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .callback { patience.lasts(after: $0) }
        configuration.prepareDatabase { db in
            guard !db.configuration.readonly else { return }
            // First of all, so that someone else's file is left exactly as it was found.
            try Schema.requireReadable(db, path: path)
            // SQLite's automatic checkpoint stays on: without it the write-ahead log of a server that runs for months
            // would grow without bound. Readers here hold a snapshot for milliseconds, so after a checkpoint the log
            // is written from its start again. What one huge transaction left behind is given back by the size limit.
            try db.execute(sql: "PRAGMA wal_autocheckpoint = \(checkpointPages)")
            try db.execute(sql: "PRAGMA journal_size_limit = \(writeAheadLogBytes)")
            try db.execute(sql: "PRAGMA cache_size = -\(writerCacheKiB)")
            // macOS: a plain fsync stops at the drive's cache. No effect elsewhere.
            try db.execute(sql: "PRAGMA fullfsync = ON")
        }
        return configuration
    }

    private static func requireFullSynchronous(_ db: Database, path: String) throws {
        let effective = try Int.fetchOne(db, sql: "PRAGMA synchronous")
        guard effective == fullSynchronous else {
            throw StoreUnusable(
                "the database \(path) can't be used: SQLite doesn't sync commits to disk "
                    + "(PRAGMA synchronous is \(effective.map(String.init) ?? "unknown"), not \(fullSynchronous))")
        }
    }

    /// What a failure of SQLite means to whoever asked; nil for one that is a fault of this program.
    static func fault(_ error: DatabaseError) -> (any Error)? {
        let description = "\(explanation(of: error)) (SQLite code \(error.extendedResultCode.rawValue))"
        return switch error.resultCode {
        case .SQLITE_FULL: StoreFull(description)
        case .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_NOMEM,
            .SQLITE_PERM, .SQLITE_CORRUPT, .SQLITE_NOTADB:
            StoreFailing(description)
        default: nil
        }
    }

    static func explanation(of error: DatabaseError) -> String {
        switch error.resultCode {
        case .SQLITE_NOTADB: "it is not an SQLite database"
        case .SQLITE_CORRUPT: "it is damaged; restore a backup"
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_AUTH:
            "it can't be opened for reading and writing; check the file, its folder and their permissions"
        case .SQLITE_BUSY, .SQLITE_LOCKED: "another program holds it"
        case .SQLITE_FULL: "the disk is full"
        case .SQLITE_IOERR: "the disk reported an error"
        default: "\(error.message ?? "SQLite error") (code \(error.extendedResultCode.rawValue))"
        }
    }
}
