import GRDB
public import TipwireCore

extension SQLiteStore {
    public func directory() async throws -> DirectorySnapshot {
        try await read { db in
            DirectorySnapshot(
                accounts: try Self.accounts(db), pages: try Self.pages(db), keys: try Self.keys(db))
        }
    }

    /// One transaction whose broken constraints are answers, not faults.
    func change<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        do {
            return try await write(body)
        } catch let error as DatabaseError {
            switch error.extendedResultCode {
            case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY: throw DirectoryRefusal.taken
            case .SQLITE_CONSTRAINT_FOREIGNKEY: throw DirectoryRefusal.missingReference
            default: throw error
            }
        }
    }
}

// MARK: - Accounts

extension SQLiteStore {
    public func createAccount(_ new: NewAccount) async throws -> Account {
        try await change { db in
            let publicID = PublicID.random()
            try db.execute(
                sql: "INSERT INTO accounts (public_id, name, password_hash, created_at) VALUES (?, ?, ?, ?)",
                arguments: [publicID, new.name.text, new.passwordHash, new.createdAt.milliseconds])
            return Account(
                id: Account.ID(rawValue: db.lastInsertedRowID), publicID: publicID, name: new.name,
                createdAt: new.createdAt)
        }
    }

    public func passwordHash(of account: Account.ID) async throws -> String? {
        try await read { db in
            try String.fetchOne(
                db, sql: "SELECT password_hash FROM accounts WHERE id = ?", arguments: [account.rawValue])
        }
    }

    public func setPasswordHash(_ hash: String, of account: Account.ID) async throws {
        try await change { db in
            try db.execute(
                sql: "UPDATE accounts SET password_hash = ? WHERE id = ?", arguments: [hash, account.rawValue])
            guard db.changesCount == 1 else { throw DirectoryRefusal.missingReference }
        }
    }

    private static func accounts(_ db: Database) throws -> [Account] {
        try Row.fetchAll(db, sql: "SELECT id, public_id, name, created_at FROM accounts ORDER BY id").map { row in
            guard let name = Slug(row[2]) else { throw DamagedRow(table: "accounts", problem: "bad name") }
            return Account(
                id: Account.ID(rawValue: row[0]), publicID: row[1], name: name,
                createdAt: Timestamp(milliseconds: row[3]))
        }
    }
}

// MARK: - Pages

extension SQLiteStore {
    public func createPage(_ new: NewPage) async throws -> Page {
        try await change { db in
            let publicID = PublicID.page(at: new.createdAt)
            try db.execute(
                sql: """
                    INSERT INTO pages (public_id, slug, title, custom_url, currency, owner, created_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    publicID, new.slug.text, new.title, new.customURL, new.currency.code, new.owner.rawValue,
                    new.createdAt.milliseconds,
                ])
            return Page(
                id: Page.ID(rawValue: db.lastInsertedRowID), publicID: publicID, slug: new.slug, title: new.title,
                customURL: new.customURL, currency: new.currency, owner: new.owner, members: [],
                createdAt: new.createdAt)
        }
    }

    public func updatePage(_ page: Page) async throws {
        try await change { db in
            let stored = try String.fetchOne(
                db, sql: "SELECT currency FROM pages WHERE id = ?", arguments: [page.id.rawValue])
            guard let stored else { throw DirectoryRefusal.missingReference }
            if stored != page.currency.code {
                // Their amounts are in its minor units.
                let hasMoney = try Bool.fetchOne(
                    db,
                    sql: """
                        SELECT EXISTS (SELECT 1 FROM tips WHERE page_id = ?1)
                            OR EXISTS (SELECT 1 FROM goals WHERE page_id = ?1)
                        """,
                    arguments: [page.id.rawValue])
                guard hasMoney == false else { throw DirectoryRefusal.currencyInUse }
            }
            try db.execute(
                sql: """
                    UPDATE pages SET title = ?, custom_url = ?, currency = ?, alerts_paused = ?, alerts_muted = ?
                    WHERE id = ?
                    """,
                arguments: [
                    page.title, page.customURL, page.currency.code, page.alerts.isPaused, page.alerts.isMuted,
                    page.id.rawValue,
                ])
        }
    }

    public func deletePage(_ id: Page.ID) async throws {
        try await change { db in
            let events = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*), coalesce(sum(length(CAST(data AS BLOB)) + ?), 0) FROM events WHERE page_id = ?
                    """,
                arguments: [LogRow.allowancePerEvent, id.rawValue])!
            var log = try LogRow.read(db)
            log.events -= events[0]
            log.bytes -= events[1]
            try log.write(db)
            // By hand and first: with none left, the cascade from each tip to its keys finds nothing to search
            // through, and needs no index that every keyed tip would have to pay for.
            try db.execute(sql: "DELETE FROM idempotency WHERE page_id = ?", arguments: [id.rawValue])
            try db.execute(sql: "DELETE FROM pages WHERE id = ?", arguments: [id.rawValue])
        }
    }

    public func addMember(_ account: Account.ID, to page: Page.ID) async throws {
        try await change { db in
            try db.execute(
                sql: "INSERT INTO members (page_id, account_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                arguments: [page.rawValue, account.rawValue])
        }
    }

    public func removeMember(_ account: Account.ID, from page: Page.ID) async throws {
        try await change { db in
            try db.execute(
                sql: "DELETE FROM members WHERE page_id = ? AND account_id = ?",
                arguments: [page.rawValue, account.rawValue])
        }
    }

    private static func pages(_ db: Database) throws -> [Page] {
        var members: [Int64: Set<Account.ID>] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT page_id, account_id FROM members") {
            members[row[0], default: []].insert(Account.ID(rawValue: row[1]))
        }
        let rows = try Row.fetchAll(
            db,
            sql: """
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
