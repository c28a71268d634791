import TipwireCore
import TipwireStore

/// What a look at a database found, which a server may be running on.
public struct PostgresExamination: Sendable {
    /// As PostgreSQL names it: `15.8`.
    public let version: String
    /// The servers that use the database; an address is nil where PostgreSQL doesn't tell it.
    public let servers: [Server]
    /// Why a commit that is answered may still be lost; none where PostgreSQL syncs them.
    public let risks: [String]
    /// What a commit waits for, as `synchronous_commit` says it for Tipwire's connections.
    public let durability: String
    public let audit: StoreAudit

    public struct Server: Sendable {
        public let address: String?
    }
}

extension PostgresStore {
    /// Looks at the database, also while a server uses it: one snapshot is read, nothing is written, and no table is
    /// made.
    ///
    /// The audit is the one that the file of SQLite gets, too. Throws `StoreUnusable`, one line for the operator, when
    /// the database can't be reached, or isn't one that this version's server works on.
    public static func examine(_ url: String) async throws -> PostgresExamination {
        try await PinnedThreads.once("postgres doctor") { try examineBlocking(url) }
    }

    private static func examineBlocking(_ url: String) throws -> PostgresExamination {
        do {
            return try examine(ConnectionSource(url).connect())
        } catch let error as PostgresError {
            throw ConnectionSource.unusable(error.description)
        } catch let error as DamagedRow {
            throw ConnectionSource.unusable("it is damaged: \(error)")
        }
    }

    private static func examine(_ db: PostgresConnection) throws -> PostgresExamination {
        try db.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        guard try !(db.execute("SELECT pg_is_in_recovery()")[0][0] as Bool) else {
            throw StoreUnusable("the PostgreSQL server is a replica, which can't be written; name the primary")
        }
        try Schema.requireCurrent(db)
        let settings = try db.execute(
            "SELECT current_setting('server_version'), current_setting('synchronous_commit')")[0]
        let version: String = settings[0]
        var auditor = try Auditor(PostgresAuditTables(db: db))
        return PostgresExamination(
            version: String(version.prefix { $0 != " " }), servers: try servers(db), risks: try risks(db),
            durability: settings[1], audit: try auditor.run())
    }

    private static func risks(_ db: PostgresConnection) throws -> [String] {
        try ["fsync", "full_page_writes"].compactMap { (name: String) in
            let value: String = try db.execute("SELECT current_setting($1)", name)[0][0]
            return value == "off"
                ? "\(name) is off, so PostgreSQL may lose what it has committed when its machine fails" : nil
        }
    }

    /// Who holds the lock. Looked up and not tried: to try it could keep a server from starting.
    private static func servers(_ db: PostgresConnection) throws -> [PostgresExamination.Server] {
        try db.execute(
            """
            SELECT host(client_addr) FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND granted AND objsubid = 1
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND classid::bigint = $1 AND objid::bigint = $2
            ORDER BY 1
            """, UseLock.number >> 32, UseLock.number & 0xFFFF_FFFF
        ).map { PostgresExamination.Server(address: $0[0]) }
    }
}
