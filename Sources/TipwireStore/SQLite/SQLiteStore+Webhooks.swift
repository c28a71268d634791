import GRDB
import TipwireCore

extension SQLiteStore {
    public func webhooks() async throws -> WebhookSnapshot {
        try await read { db in
            let level = try Int64.fetchOne(db, sql: "SELECT sequence FROM webhook_level")
            guard let level else { throw DamagedRow(table: "webhook_level", problem: "it is empty") }
            let secrets = try Self.secrets(db)
            let backlogs = try Self.backlogs(db)
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT \(EventSubscription.columns), number, callback, position, disabled, failing_since
                    FROM webhooks ORDER BY number
                    """)
            let webhooks = try rows.map { row in
                let webhook = try Self.webhook(row, secrets)
                return (webhook: webhook, backlog: backlogs[webhook.number] ?? WebhookBacklog())
            }
            return WebhookSnapshot(level: level, webhooks: webhooks)
        }
    }

    private static func webhook(_ row: Row, _ secrets: [WebhookNumber: [StoredSecret]]) throws -> StoredWebhook {
        let number = WebhookNumber(rawValue: row[8])
        let disabled = row[11] as String?
        let reason = disabled.flatMap(DisabledReason.init(rawValue:))
        guard reason != nil || disabled == nil else {
            throw DamagedRow(table: "webhooks", problem: "unknown reason")
        }
        guard let secrets = secrets[number], secrets[0].expiresAt == nil else {
            throw DamagedRow(table: "webhook_secrets", problem: "a webhook has none")
        }
        return StoredWebhook(
            number: number, subscription: try EventSubscription(row, table: "webhooks"), callback: row[9],
            secrets: secrets, position: row[10], disabled: reason,
            failingSince: (row[12] as Int64?).map(Timestamp.init(milliseconds:)))
    }

    private static func secrets(_ db: Database) throws -> [WebhookNumber: [StoredSecret]] {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT webhook, secret, expires_at FROM webhook_secrets ORDER BY webhook, number")
        var secrets: [WebhookNumber: [StoredSecret]] = [:]
        while let row = try rows.next() {
            secrets[WebhookNumber(rawValue: row[0]), default: []].append(
                StoredSecret(row[1], expiresAt: (row[2] as Int64?).map(Timestamp.init(milliseconds:))))
        }
        return secrets
    }

    public func createWebhook(
        _ subscription: EventSubscription, callback: String, secret: StoredSecret, position: Int64
    ) async throws -> WebhookNumber {
        try await change { db in
            try db.execute(
                sql: """
                    INSERT INTO webhooks (\(EventSubscription.columns), callback, position)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: subscription.arguments + [callback, position])
            let number = WebhookNumber(rawValue: db.lastInsertedRowID)
            try Self.insert([secret], of: number, db)
            return number
        }
    }

    public func deleteWebhook(_ number: WebhookNumber) async throws {
        try await write { db in
            try db.execute(sql: "DELETE FROM webhooks WHERE number = ?", arguments: [number.rawValue])
        }
    }

    public func updateWebhook(_ number: WebhookNumber, disabled: DisabledReason?, key: String?) async throws {
        try await write { db in
            try db.execute(
                sql: """
                    UPDATE webhooks SET disabled = ?1, key_id = ?2,
                        failing_since = CASE WHEN ?1 IS NULL THEN NULL ELSE failing_since END,
                        position = CASE WHEN ?1 IS NULL THEN position
                            ELSE coalesce(position, (SELECT sequence FROM webhook_level)) END
                    WHERE number = ?3
                    """,
                arguments: [disabled?.rawValue, key, number.rawValue])
        }
    }

    public func changeSecrets(
        of number: WebhookNumber, _ change: @escaping @Sendable ([StoredSecret]) throws -> [StoredSecret]
    ) async throws -> [StoredSecret]? {
        try await write { db in
            let before = try Row.fetchAll(
                db, sql: "SELECT secret, expires_at FROM webhook_secrets WHERE webhook = ? ORDER BY number",
                arguments: [number.rawValue]
            ).map { StoredSecret($0[0], expiresAt: ($0[1] as Int64?).map(Timestamp.init(milliseconds:))) }
            guard !before.isEmpty else { return nil }
            let secrets = try change(before)
            precondition(!secrets.isEmpty, "a webhook has a secret")
            try db.execute(sql: "DELETE FROM webhook_secrets WHERE webhook = ?", arguments: [number.rawValue])
            try Self.insert(secrets, of: number, db)
            return secrets
        }
    }

    private static func insert(_ secrets: [StoredSecret], of number: WebhookNumber, _ db: Database) throws {
        for (index, secret) in secrets.enumerated() {
            try db.execute(
                sql: "INSERT INTO webhook_secrets VALUES (?, ?, ?, ?)",
                arguments: [number.rawValue, index, secret.text, secret.expiresAt?.milliseconds])
        }
    }
}

// MARK: - Backlogs

extension SQLiteStore {
    public func backlog(of webhook: WebhookNumber) async throws -> WebhookBacklog {
        try await read { db in try Self.backlogs(db, of: webhook)[webhook] ?? WebhookBacklog() }
    }

    public func asked() async throws -> [WebhookNumber: Timestamp] {
        try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT webhook, max(CASE WHEN due_at > 0 THEN due_at ELSE created_at END) FROM webhook_deliveries
                    WHERE state = 'pending' AND round = 0 AND (due_at > 0 OR test > 0) GROUP BY webhook
                    """)
            return rows.reduce(into: [:]) { asked, row in
                asked[WebhookNumber(rawValue: row[0])] = Timestamp(milliseconds: row[1])
            }
        }
    }

    /// From the index of pending deliveries alone: it takes a start with a hundred thousand of them some milliseconds.
    private static func backlogs(
        _ db: Database, of webhook: WebhookNumber? = nil
    ) throws -> [WebhookNumber: WebhookBacklog] {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT webhook, count(*), sum(due_at = 0), min(nullif(due_at, 0)) FROM webhook_deliveries
                WHERE state = 'pending' \(webhook == nil ? "" : "AND webhook = ?") GROUP BY webhook
                """,
            arguments: webhook.map { [$0.rawValue] } ?? [])
        var backlogs: [WebhookNumber: WebhookBacklog] = [:]
        while let row = try rows.next() {
            backlogs[WebhookNumber(rawValue: row[0])] = WebhookBacklog(
                pending: row[1], firsts: row[2],
                earliestRetry: (row[3] as Int64?).map(Timestamp.init(milliseconds:)))
        }
        return backlogs
    }
}
