import NIOCore
import TipwireCore
import TipwireStore

// MARK: - API keys

extension PostgresStore {
    public func createKey(_ key: KeyRecord) async throws {
        try await change(telling: .directory) { db in
            _ = try db.execute(
                """
                WITH made AS (
                    INSERT INTO keys (id, prefix, hash, name, account_id, scopes, is_limited, created_at, expires_at,
                        last_used_at)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id
                )
                INSERT INTO key_pages (key_id, page_id) SELECT made.id, page FROM made, unnest($11::bigint[]) AS page
                """,
                key.id, key.prefix, key.hash.data, key.name, key.account.rawValue,
                key.scopes.map(\.rawValue).joined(separator: " "), key.pages != nil, key.createdAt.milliseconds,
                key.expiresAt?.milliseconds, key.lastUsedAt?.milliseconds, (key.pages ?? []).map(\.rawValue))
        }
    }

    public func deleteKey(_ id: String) async throws -> Bool {
        // PostgreSQL refuses a text with a NUL, which whoever asks may have sent: there is no such key.
        guard !id.utf8.contains(0) else { return false }
        return try await change(telling: .directory) { db in
            try db.execute("DELETE FROM keys WHERE id = $1", id).affected == 1
        }
    }

    public func recordKeyUse(_ uses: [String: Timestamp]) async throws {
        guard !uses.isEmpty else { return }
        let uses = Array(uses)
        try await change { db in
            // Locked in one order: two nodes that tell of the same keys would wait for each other.
            _ = try db.execute(
                """
                WITH used AS MATERIALIZED (
                    SELECT keys.id, use.time FROM keys JOIN unnest($1::text[], $2::bigint[]) AS use (id, time)
                        ON use.id = keys.id
                    ORDER BY keys.id FOR NO KEY UPDATE OF keys
                )
                UPDATE keys SET last_used_at = used.time FROM used
                WHERE keys.id = used.id AND (keys.last_used_at IS NULL OR keys.last_used_at < used.time)
                """, uses.map(\.key), uses.map(\.value.milliseconds))
        }
    }

    static func keys(_ db: PostgresConnection) throws -> [KeyRecord] {
        var pages: [String: Set<Page.ID>] = [:]
        for row in try db.execute("SELECT key_id, page_id FROM key_pages") {
            pages[row[0], default: []].insert(Page.ID(rawValue: row[1]))
        }
        let rows = try db.execute(
            """
            SELECT id, prefix, hash, name, account_id, scopes, is_limited, created_at, expires_at, last_used_at
            FROM keys ORDER BY created_at, id
            """)
        return rows.map { row in
            let isLimited: Bool = row[6]
            return KeyRecord(
                id: row[0], prefix: row[1], hash: SecretHash(data: row[2]), name: row[3],
                account: Account.ID(rawValue: row[4]),
                scopes: (row[5] as String).split(separator: " ").map { Scope(rawValue: String($0)) },
                // No row in `key_pages` is no page, not every page: all of the key's were deleted.
                pages: isLimited ? pages[row[0]] ?? [] : nil,
                createdAt: Timestamp(milliseconds: row[7]), expiresAt: row.time(8), lastUsedAt: row.time(9))
        }
    }
}

// MARK: - Browser sessions

extension PostgresStore {
    public func createLoginCode(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await change { db in
            _ = try db.execute(
                "INSERT INTO login_codes (hash, account_id, expires_at) VALUES ($1, $2, $3)",
                hash.data, account.rawValue, expiresAt.milliseconds)
        }
    }

    public func redeemLoginCode(_ hash: SecretHash, at now: Timestamp) async throws -> Account.ID? {
        try await change { db in
            // Who comes second waits for the first one's end, and then finds no row.
            let spent = try db.execute(
                "DELETE FROM login_codes WHERE hash = $1 RETURNING account_id, expires_at", hash.data)
            guard let code = spent.first, Timestamp(milliseconds: code[1]) > now else { return nil }
            return Account.ID(rawValue: code[0])
        }
    }

    public func createSession(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await change { db in
            _ = try db.execute(
                "INSERT INTO sessions (hash, account_id, expires_at) VALUES ($1, $2, $3)",
                hash.data, account.rawValue, expiresAt.milliseconds)
        }
    }

    public func session(_ hash: SecretHash, at now: Timestamp) async throws -> SessionRecord? {
        try await read { db in
            try db.execute(
                "SELECT account_id, expires_at FROM sessions WHERE hash = $1 AND expires_at > $2",
                hash.data, now.milliseconds
            ).first.map { row in
                SessionRecord(account: Account.ID(rawValue: row[0]), expiresAt: Timestamp(milliseconds: row[1]))
            }
        }
    }

    public func deleteSession(_ hash: SecretHash) async throws {
        try await change(telling: .sessions) { db in
            _ = try db.execute("DELETE FROM sessions WHERE hash = $1", hash.data)
        }
    }

    public func deleteSessions(of account: Account.ID) async throws {
        try await change(telling: .sessions) { db in
            _ = try db.execute(
                """
                WITH codes AS (DELETE FROM login_codes WHERE account_id = $1)
                DELETE FROM sessions WHERE account_id = $1
                """, account.rawValue)
        }
    }

    public func deleteExpiredSessions(at now: Timestamp) async throws {
        try await change { db in
            // Each node sweeps at its own time. What another one is just removing is left to it: waiting for rows in two
            // orders is how two sweeps stop each other.
            _ = try db.execute(
                """
                WITH codes AS (
                    DELETE FROM login_codes WHERE hash IN (
                        SELECT hash FROM login_codes WHERE expires_at <= $1 FOR UPDATE SKIP LOCKED)
                )
                DELETE FROM sessions WHERE hash IN (
                    SELECT hash FROM sessions WHERE expires_at <= $1 FOR UPDATE SKIP LOCKED)
                """, now.milliseconds)
        }
    }
}

extension SecretHash {
    fileprivate var data: ByteBuffer { ByteBuffer(bytes: bytes) }
    fileprivate init(data: ByteBuffer) { self.init(bytes: Array(data.readableBytesView)) }
}
