import TipwireStore

/// That this server is the only one on its database.
///
/// Held by the connection of the commits, as a lock that ends with it, however that comes. A connection can be cut without
/// its server noticing, and another server come, go, and change keys meanwhile. So whoever claims the database also leaves a
/// number, which everyone who goes on compares: a server that finds another's has missed what that one did, and its copy
/// of keys and pages with it.
struct Claim: Sendable {
    private let token = Int64.random(in: .min ... .max)
    static let lock: Int64 = 0x74_6970_776c_6f67

    /// Of a server that starts, and holds it.
    func take(_ db: PostgresConnection) throws {
        try db.execute(
            """
            INSERT INTO claims (id, token) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET token = excluded.token
            """, token)
    }

    /// Of one that has lost its connection.
    func renew(_ db: PostgresConnection) throws {
        try hold(db)
        try require(db.execute("SELECT token FROM claims").first?[0])
    }

    /// Before something is written elsewhere than in the log. The row stays locked until that is done, so that a new server
    /// waits for it.
    func check(_ db: PostgresConnection) throws {
        try require(db.execute("SELECT token FROM claims FOR SHARE").first?[0])
    }

    func require(_ found: Int64?) throws {
        guard found == token else {
            throw StoreFailing(
                "another tipwire has used the database meanwhile, and what this one knows of it is out of date; start it anew"
            )
        }
    }

    /// Throws when another server has it.
    func hold(_ db: PostgresConnection) throws {
        let isHeld: Bool = try db.execute("SELECT pg_try_advisory_lock($1)", Self.lock)[0][0]
        guard isHeld else {
            throw StoreUnusable(
                "the database is in use by another tipwire; stop that one, or choose another database")
        }
    }
}
