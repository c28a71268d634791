import TipwireCore
import TipwireStore

extension PostgresStore: DirectoryStore {
    public func directory() async throws -> DirectorySnapshot {
        try await read { db in
            DirectorySnapshot(
                accounts: try Self.accounts(db), pages: try Self.pages(db), keys: try Self.keys(db),
                version: try db.execute("SELECT directory FROM changes")[0][0])
        }
    }
}

// MARK: - Accounts

extension PostgresStore {
    public func createAccount(_ new: NewAccount) async throws -> Account {
        try await change(telling: .directory) { db in
            let publicID = PublicID.random()
            let rows = try db.execute(
                """
                INSERT INTO accounts (public_id, name, password_hash, created_at) VALUES ($1, $2, $3, $4) RETURNING id
                """, publicID, new.name.text, new.passwordHash, new.createdAt.milliseconds)
            return Account(
                id: Account.ID(rawValue: rows[0][0]), publicID: publicID, name: new.name, createdAt: new.createdAt)
        }
    }

    public func passwordHash(of account: Account.ID) async throws -> String? {
        try await read { db in
            try db.execute("SELECT password_hash FROM accounts WHERE id = $1", account.rawValue).first?[0]
        }
    }

    public func setPasswordHash(_ hash: String, of account: Account.ID) async throws {
        try await change { db in
            let result = try db.execute(
                "UPDATE accounts SET password_hash = $1 WHERE id = $2", hash, account.rawValue)
            guard result.affected == 1 else { throw DirectoryRefusal.missingReference }
        }
    }

    private static func accounts(_ db: PostgresConnection) throws -> [Account] {
        try db.execute("SELECT id, public_id, name, created_at FROM accounts ORDER BY id").map { row in
            guard let name = Slug(row[2]) else { throw DamagedRow(table: "accounts", problem: "bad name") }
            return Account(
                id: Account.ID(rawValue: row[0]), publicID: row[1], name: name,
                createdAt: Timestamp(milliseconds: row[3]))
        }
    }
}

// MARK: - Pages

extension PostgresStore {
    public func createPage(_ new: NewPage) async throws -> Page {
        try await change(telling: .directory) { db in
            let publicID = PublicID.page(at: new.createdAt)
            let rows = try db.execute(
                """
                INSERT INTO pages (public_id, slug, title, custom_url, currency, owner, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
                """,
                publicID, new.slug.text, new.title, new.customURL, new.currency.code, new.owner.rawValue,
                new.createdAt.milliseconds)
            return Page(
                id: Page.ID(rawValue: rows[0][0]), publicID: publicID, slug: new.slug, title: new.title,
                customURL: new.customURL, currency: new.currency, owner: new.owner, members: [],
                createdAt: new.createdAt)
        }
    }

    public func updatePage(_ page: Page) async throws {
        try await change(telling: .directory) { db in
            // Most changes leave the currency alone, and have no business with the log: they find the page under the
            // currency that they know, and write it in the same statement.
            if try Self.update(page, storedAs: page.currency.code, db) { return }
            // A tip is written in the currency that its commit has read, and nothing holds the page from there on to its
            // first tip. Who changes it keeps all commits out.
            try db.execute("SELECT id FROM log FOR UPDATE")
            let found = try db.execute("SELECT currency FROM pages WHERE id = $1 FOR NO KEY UPDATE", page.id.rawValue)
            guard let row = found.first else { throw DirectoryRefusal.missingReference }
            let stored: String = row[0]
            if stored != page.currency.code {
                // Their amounts are in its minor units.
                let hasMoney: Bool = try db.execute(
                    """
                    SELECT EXISTS (SELECT 1 FROM tips WHERE page_id = $1)
                        OR EXISTS (SELECT 1 FROM goals WHERE page_id = $1)
                    """, page.id.rawValue)[0][0]
                guard !hasMoney else { throw DirectoryRefusal.currencyInUse }
            }
            _ = try Self.update(page, storedAs: stored, db)
        }
    }

    /// - Returns: whether there is a page of this number and currency.
    private static func update(
        _ page: Page, storedAs currency: String, _ db: PostgresConnection
    ) throws -> Bool {
        try db.execute(
            """
            UPDATE pages SET title = $1, custom_url = $2, currency = $3, alerts_paused = $4, alerts_muted = $5
            WHERE id = $6 AND currency = $7
            """,
            page.title, page.customURL, page.currency.code, page.alerts.isPaused, page.alerts.isMuted,
            page.id.rawValue, currency
        ).affected == 1
    }

    public func deletePage(_ id: Page.ID) async throws {
        try await change(telling: .directory) { db in
            // First of all, as by everyone who changes the log: no tip comes in between counting and deleting, and the
            // counters aren't overwritten by a commit that has read them before. A statement of its own, so that the
            // next ones see what was committed while this one waited.
            try db.execute("SELECT id FROM log FOR UPDATE")
            try db.execute(
                """
                UPDATE log SET events = log.events - gone.events, bytes = log.bytes - gone.bytes
                FROM (
                    SELECT count(*) AS events, coalesce(sum(octet_length(data) + $1::bigint), 0)::bigint AS bytes
                    FROM events WHERE page_id = $2
                ) AS gone
                """, LogRow.allowancePerEvent, id.rawValue)
            // In the order in which all others lock webhooks, which isn't that of a cascade.
            try db.execute("SELECT number FROM webhooks WHERE page_id = $1 ORDER BY number FOR UPDATE", id.rawValue)
            // By hand and first: what cascades from each tip then finds nothing.
            try db.execute("DELETE FROM idempotency WHERE page_id = $1", id.rawValue)
            try db.execute("DELETE FROM pages WHERE id = $1", id.rawValue)
        }
    }

    public func addMember(_ account: Account.ID, to page: Page.ID) async throws {
        try await change(telling: .directory) { db in
            _ = try db.execute(
                "INSERT INTO members (page_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                page.rawValue, account.rawValue)
        }
    }

    public func removeMember(_ account: Account.ID, from page: Page.ID) async throws {
        try await change(telling: .directory) { db in
            _ = try db.execute(
                "DELETE FROM members WHERE page_id = $1 AND account_id = $2", page.rawValue, account.rawValue)
        }
    }

    private static func pages(_ db: PostgresConnection) throws -> [Page] {
        var members: [Int64: Set<Account.ID>] = [:]
        for row in try db.execute("SELECT page_id, account_id FROM members") {
            members[row[0], default: []].insert(Account.ID(rawValue: row[1]))
        }
        let rows = try db.execute(
            """
            SELECT id, public_id, slug, title, custom_url, currency, owner, created_at, alerts_paused, alerts_muted
            FROM pages ORDER BY id
            """)
        return try rows.map { row in
            guard let slug = Slug(row[2]), let currency = Currency(code: row[5]) else {
                throw DamagedRow(table: "pages", problem: "bad slug or currency")
            }
            return Page(
                id: Page.ID(rawValue: row[0]), publicID: row[1], slug: slug, title: row[3], customURL: row[4],
                currency: currency, owner: Account.ID(rawValue: row[6]), members: members[row[0]] ?? [],
                alerts: AlertSwitches(isPaused: row[8], isMuted: row[9]), createdAt: Timestamp(milliseconds: row[7]))
        }
    }
}
