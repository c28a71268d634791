import Foundation
import GRDB
public import TipwireCore

// MARK: - API keys

extension SQLiteStore {
    public func createKey(_ key: KeyRecord) async throws {
        try await change { db in
            try db.execute(
                sql: """
                    INSERT INTO keys (id, prefix, hash, name, account_id, scopes, is_limited, created_at, expires_at,
                        last_used_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    key.id, key.prefix, key.hash.data, key.name, key.account.rawValue,
                    key.scopes.map(\.rawValue).joined(separator: " "), key.pages != nil, key.createdAt.milliseconds,
                    key.expiresAt?.milliseconds, key.lastUsedAt?.milliseconds,
                ])
            for page in key.pages ?? [] {
                try db.execute(
                    sql: "INSERT INTO key_pages (key_id, page_id) VALUES (?, ?)", arguments: [key.id, page.rawValue])
            }
        }
    }

    public func deleteKey(_ id: String) async throws -> Bool {
        try await change { db in
            try db.execute(sql: "DELETE FROM keys WHERE id = ?", arguments: [id])
            return db.changesCount == 1
        }
    }

    public func recordKeyUse(_ uses: [String: Timestamp]) async throws {
        try await change { db in
            let statement = try db.cachedStatement(
                sql: "UPDATE keys SET last_used_at = max(coalesce(last_used_at, ?1), ?1) WHERE id = ?2")
            for (id, time) in uses { try statement.execute(arguments: [time.milliseconds, id]) }
        }
    }

    static func keys(_ db: Database) throws -> [KeyRecord] {
        var pages: [String: Set<Page.ID>] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT key_id, page_id FROM key_pages") {
            pages[row[0], default: []].insert(Page.ID(rawValue: row[1]))
        }
        let rows = try Row.fetchAll(
            db,
            sql: """
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

extension SQLiteStore {
    public func createLoginCode(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await change { db in
            try db.execute(
                sql: "INSERT INTO login_codes (hash, account_id, expires_at) VALUES (?, ?, ?)",
                arguments: [hash.data, account.rawValue, expiresAt.milliseconds])
        }
    }

    public func redeemLoginCode(_ hash: SecretHash, at now: Timestamp) async throws -> Account.ID? {
        try await change { db in
            let spent = try Row.fetchAll(
                db, sql: "DELETE FROM login_codes WHERE hash = ? RETURNING account_id, expires_at",
                arguments: [hash.data])
            guard let code = spent.first, Timestamp(milliseconds: code[1]) > now else { return nil }
            return Account.ID(rawValue: code[0])
        }
    }

    public func createSession(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await change { db in
            try db.execute(
                sql: "INSERT INTO sessions (hash, account_id, expires_at) VALUES (?, ?, ?)",
                arguments: [hash.data, account.rawValue, expiresAt.milliseconds])
        }
    }

    public func session(_ hash: SecretHash, at now: Timestamp) async throws -> SessionRecord? {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: "SELECT account_id, expires_at FROM sessions WHERE hash = ? AND expires_at > ?")
            return try Row.fetchOne(statement, arguments: [hash.data, now.milliseconds]).map { row in
                SessionRecord(account: Account.ID(rawValue: row[0]), expiresAt: Timestamp(milliseconds: row[1]))
            }
        }
    }

    public func deleteSession(_ hash: SecretHash) async throws {
        try await change { db in
            try db.execute(sql: "DELETE FROM sessions WHERE hash = ?", arguments: [hash.data])
        }
    }

    public func deleteSessions(of account: Account.ID) async throws {
        try await change { db in
            try db.execute(sql: "DELETE FROM sessions WHERE account_id = ?", arguments: [account.rawValue])
            try db.execute(sql: "DELETE FROM login_codes WHERE account_id = ?", arguments: [account.rawValue])
        }
    }

    public func deleteExpiredSessions(at now: Timestamp) async throws {
        try await change { db in
            try db.execute(sql: "DELETE FROM sessions WHERE expires_at <= ?", arguments: [now.milliseconds])
            try db.execute(sql: "DELETE FROM login_codes WHERE expires_at <= ?", arguments: [now.milliseconds])
        }
    }
}

extension SecretHash {
    fileprivate var data: Data { Data(bytes) }
    fileprivate init(data: Data) { self.init(bytes: Array(data)) }
}
