import Synchronization
import TipwireCore
import TipwireStore

/// The whole `Store` promise on PostgreSQL 15 or later.
///
/// Several servers may use one database. What keeps them from each other's way is in the database: every change of the log
/// locks its row first, so that commits come in the order of their sequences, and a rollback leaves no gap.
public final class PostgresStore: Sendable {
    /// Connections for reading. Reads are short, and a server has few processors for them.
    private static let readers = 4
    /// Runs of a transaction that others were in the way of, the first included.
    private static let attempts = 5
    /// The oldest server, as in `server_version_num`.
    private static let oldestServer = 150_000

    private let readers: ConnectionPool
    private let writer: ConnectionPool
    /// Commits have a connection to themselves: what a webhook reports must not stand in a tip's way.
    let logWriter: ConnectionPool
    let lineage: Lineage
    private init(_ url: String, isAlone: Bool) {
        let lineage = Lineage()
        self.lineage = lineage
        readers = ConnectionPool("postgres reader", count: Self.readers) { try Self.connect(url) }
        writer = ConnectionPool("postgres writer", count: 1) { try Self.connect(url) }
        logWriter = ConnectionPool("postgres log", count: 1) {
            let connection = try Self.connect(url)
            if isAlone { try Self.claim(connection) }
            try lineage.check(connection)
            return connection
        }
    }

    /// Connects, and brings the schema up to date; where several servers do so at once, one does it.
    ///
    /// Throws `StoreUnusable`, one line for the operator, when the server can't be reached or used.
    ///
    /// - Parameter isAlone: keeps other servers out for as long as the store is open.
    public static func open(_ url: String, isAlone: Bool = false) async throws -> PostgresStore {
        _ = try LibPQ.load()
        let store = PostgresStore(url, isAlone: isAlone)
        do {
            if isAlone { try await store.on(store.logWriter) { session in _ = try session.open() } }
            try await store.on(store.writer) { session in
                let connection = try session.open()
                try requireUsable(connection)
                try Schema.migrate(connection)
                store.lineage.begin(with: try LogRow.read(connection).epoch)
            }
            return store
        } catch {
            await store.closePools()
            throw Self.unusable(error) ?? error
        }
    }

    /// Throws `StoreUnusable` for a server or a database that can't keep what it is given.
    static func requireUsable(_ connection: PostgresConnection) throws {
        guard connection.serverVersion >= oldestServer else {
            throw StoreUnusable(
                "the PostgreSQL server is version \(connection.serverVersion / 10_000); 15 or later is needed")
        }
        let encoding: String = try connection.execute("SHOW server_encoding")[0][0]
        guard encoding == "UTF8" else {
            throw StoreUnusable(
                "the database's encoding is \(encoding), which can't hold every tip; make one with ENCODING 'UTF8'")
        }
    }

    /// Waits for what is running, and closes the connections. Every later call on the store throws.
    public func close() async throws { await closePools() }

    private func closePools() async {
        await logWriter.close()
        await writer.close()
        await readers.close()
    }

    /// Held by the one server of a database; released by the end of its connection, however that comes.
    static let claimLock: Int64 = 0x74_6970_776c_6f67

    private static func claim(_ connection: PostgresConnection) throws {
        let isClaimed: Bool = try connection.execute("SELECT pg_try_advisory_lock($1)", claimLock)[0][0]
        guard isClaimed else {
            throw StoreUnusable(
                "the database is in use by another tipwire; stop that one, or choose another database")
        }
    }

    /// A connection that is ready for use.
    static func connect(_ url: String) throws -> PostgresConnection {
        let connection = try PostgresConnection(url)
        try connection.script(
            """
            SET search_path = \(Schema.name); SET client_min_messages = warning; SET client_encoding = 'UTF8';
            SET DateStyle = 'ISO'; SET bytea_output = 'hex'; SET application_name = 'tipwire';
            SET standard_conforming_strings = on
            """)
        // A tip that is answered is kept. Whoever wants more than this server's disk says so in its settings, and keeps it.
        let durability: String = try connection.execute("SHOW synchronous_commit")[0][0]
        if durability == "off" { try connection.script("SET synchronous_commit = on") }
        return connection
    }

    static func unusable(_ error: any Error) -> StoreUnusable? {
        switch error {
        case let error as StoreUnusable: error
        case let error as ConnectionFault: StoreUnusable("PostgreSQL can't be reached: \(error)")
        case let error as PostgresError: StoreUnusable("the PostgreSQL database can't be used: \(error)")
        default: nil
        }
    }
}

// MARK: - Access

extension PostgresStore {
    /// Runs `body` on one committed snapshot.
    func read<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await on(readers) { session in
            try Self.transaction(session, begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", body)
        }
    }

    /// Runs `body` in one transaction, which is kept when it returns, and undone when it throws.
    ///
    /// A disk that is full or fails is told as `StoreFull` and `StoreFailing`.
    func write<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await on(writer) { session in try Self.transaction(session, body) }
    }

    /// The same, with a broken uniqueness as `.taken`, and a reference to nothing as `.missingReference`.
    func change<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        do {
            return try await write(body)
        } catch let error as PostgresError {
            switch error.state {
            case PostgresError.uniqueViolation: throw DirectoryRefusal.taken
            case PostgresError.foreignKeyViolation: throw DirectoryRefusal.missingReference
            default: throw error
            }
        }
    }

    /// One that changes the log, on the connection of the commits.
    func writeLog<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await on(logWriter) { session in try Self.transaction(session, body) }
    }

    private func on<T: Sendable>(
        _ pool: ConnectionPool, _ body: @escaping @Sendable (ConnectionPool.Session) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let isTaken = pool.run { session in continuation.resume(with: Result { try body(session) }) }
            if !isTaken { continuation.resume(throwing: StoreFailing("the store is closed")) }
        }
    }

    static func transaction<T>(
        _ session: ConnectionPool.Session, begin: String = "BEGIN ISOLATION LEVEL READ COMMITTED",
        _ body: (PostgresConnection) throws -> T
    ) throws -> T {
        var attempt = 1
        while true {
            do {
                let connection = try session.open()
                return try transaction(connection, begin: begin, body)
            } catch let error as PostgresError {
                if PostgresError.conflicts.contains(error.state), attempt < attempts {
                    attempt += 1
                } else {
                    throw error.fault ?? error
                }
            } catch let error as StoreUnusable {
                session.drop()
                throw StoreFailing("\(error)")
            } catch let error as ConnectionFault {
                // What became of it isn't known, so it is not run again.
                session.drop()
                throw StoreFailing("PostgreSQL: \(error)")
            }
        }
    }

    private static func transaction<T>(
        _ connection: PostgresConnection, begin: String, _ body: (PostgresConnection) throws -> T
    ) throws -> T {
        try connection.script(begin)
        let result: T
        do {
            result = try body(connection)
        } catch {
            // When even this fails the connection is gone, and the server undoes it.
            try? connection.script("ROLLBACK")
            throw error
        }
        try connection.script("COMMIT")
        return result
    }
}
