import TipwireCore
import TipwireStore

extension PostgresStore: WebhookStore {
    public func webhooks() async throws -> WebhookSnapshot {
        let (snapshot, count) = try await read { db in
            guard let level = try db.execute("SELECT sequence FROM webhook_level").first else {
                throw DamagedRow(table: "webhook_level", problem: "it is empty")
            }
            let secrets = try Self.secrets(db)
            let backlogs = try Self.backlogs(db)
            let rows = try db.execute(
                """
                SELECT \(EventSubscription.columns), number, callback, position, disabled, failing_since
                FROM webhooks ORDER BY number
                """)
            let webhooks = try rows.map { row in
                let webhook = try Self.webhook(row, secrets)
                return (webhook: webhook, backlog: backlogs[webhook.number] ?? WebhookBacklog())
            }
            return (WebhookSnapshot(level: level[0], webhooks: webhooks), try NewsChannel.Subject.webhooks.read(db))
        }
        channel.read(.webhooks, at: count)
        return snapshot
    }

    private static func webhook(
        _ row: PostgresRow, _ secrets: [WebhookNumber: [StoredSecret]]
    ) throws -> StoredWebhook {
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
            secrets: secrets, position: row[10], disabled: reason, failingSince: row.time(12))
    }

    private static func secrets(_ db: PostgresConnection) throws -> [WebhookNumber: [StoredSecret]] {
        let rows = try db.execute(
            "SELECT webhook, secret, expires_at FROM webhook_secrets ORDER BY webhook, number")
        return rows.reduce(into: [:]) { secrets, row in
            secrets[WebhookNumber(rawValue: row[0]), default: []].append(
                StoredSecret(row[1], expiresAt: row.time(2)))
        }
    }

    public func createWebhook(
        _ subscription: EventSubscription, callback: String, secret: StoredSecret, position: Int64
    ) async throws -> WebhookNumber {
        try await change(telling: .webhooks) { db in
            let made = try db.execute(
                """
                INSERT INTO webhooks (\(EventSubscription.columns), callback, position)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING number
                """, arguments: subscription.arguments + [callback, position])
            let number = WebhookNumber(rawValue: made[0][0])
            try Self.insert([secret], of: number, db)
            return number
        }
    }

    public func deleteWebhook(_ number: WebhookNumber) async throws {
        try await write(telling: .webhooks) { db in
            _ = try db.execute("DELETE FROM webhooks WHERE number = $1", number.rawValue)
        }
    }

    public func updateWebhook(_ number: WebhookNumber, disabled: DisabledReason?, key: String?) async throws {
        try await write(telling: .webhooks) { db in
            // One that is disabled stands where the level is: no dispatch moves that on until this is kept.
            if disabled != nil { try db.execute("SELECT sequence FROM webhook_level FOR SHARE") }
            _ = try db.execute(
                """
                UPDATE webhooks SET disabled = $1::text, key_id = $2,
                    failing_since = CASE WHEN $1::text IS NULL THEN NULL ELSE failing_since END,
                    position = CASE WHEN $1::text IS NULL THEN position
                        ELSE coalesce(position, (SELECT sequence FROM webhook_level)) END
                WHERE number = $3
                """, disabled?.rawValue, key, number.rawValue)
        }
    }

    public func changeSecrets(
        of number: WebhookNumber, _ change: @escaping @Sendable ([StoredSecret]) throws -> [StoredSecret]
    ) async throws -> [StoredSecret]? {
        try await write(telling: .webhooks) { db in
            guard try Self.lock([number], db).contains(number) else { return nil }
            let before = try db.execute(
                "SELECT secret, expires_at FROM webhook_secrets WHERE webhook = $1 ORDER BY number", number.rawValue
            ).map { StoredSecret($0[0], expiresAt: $0.time(1)) }
            let secrets = try change(before)
            precondition(!secrets.isEmpty, "a webhook has a secret")
            try db.execute("DELETE FROM webhook_secrets WHERE webhook = $1", number.rawValue)
            try Self.insert(secrets, of: number, db)
            return secrets
        }
    }

    private static func insert(
        _ secrets: [StoredSecret], of number: WebhookNumber, _ db: PostgresConnection
    ) throws {
        try db.execute(
            """
            INSERT INTO webhook_secrets (webhook, number, secret, expires_at)
            SELECT $1::bigint, number - 1, secret, expires_at
            FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS secrets (secret, expires_at, number)
            """,
            number.rawValue, secrets.map(\.text), PostgresValue.ints(secrets.map(\.expiresAt?.milliseconds)))
    }

    /// Keeps all others from changing these webhooks and their deliveries until the end of the transaction, and says which of
    /// them there are: those stay.
    ///
    /// SQLite's one writer makes every change of a webhook and its deliveries wait for the one before. Here the webhook's row
    /// does, over all nodes: what has been read of a webhook behind this lock is true until it is written. Always in the order
    /// of their numbers and before any delivery, so that nobody waits in a circle. Not `FOR UPDATE`: foreign keys lock the
    /// row too, and don't have to wait for this.
    static func lock(_ webhooks: some Sequence<WebhookNumber>, _ db: PostgresConnection) throws -> Set<WebhookNumber> {
        let numbers = Set(webhooks).map(\.rawValue)
        guard !numbers.isEmpty else { return [] }
        let rows = try db.execute(
            "SELECT number FROM webhooks WHERE number = ANY($1::bigint[]) ORDER BY number FOR NO KEY UPDATE", numbers)
        return Set(rows.map { WebhookNumber(rawValue: $0[0]) })
    }
}

// MARK: - Backlogs

extension PostgresStore {
    public func backlog(of webhook: WebhookNumber) async throws -> WebhookBacklog {
        try await read { db in try Self.backlogs(db, of: webhook)[webhook] ?? WebhookBacklog() }
    }

    public func asked() async throws -> [WebhookNumber: Timestamp] {
        try await read { db in
            let rows = try db.execute(
                """
                SELECT webhook, max(CASE WHEN due_at > 0 THEN due_at ELSE created_at END) FROM webhook_deliveries
                WHERE state = 'pending' AND round = 0 AND (due_at > 0 OR test > 0) GROUP BY webhook
                """)
            return rows.reduce(into: [:]) { asked, row in
                asked[WebhookNumber(rawValue: row[0])] = Timestamp(milliseconds: row[1])
            }
        }
    }

    /// From the index of pending deliveries: what has ended isn't looked at.
    private static func backlogs(
        _ db: PostgresConnection, of webhook: WebhookNumber? = nil
    ) throws -> [WebhookNumber: WebhookBacklog] {
        let rows = try db.execute(
            """
            SELECT webhook, count(*), count(*) FILTER (WHERE due_at = 0), min(due_at) FILTER (WHERE due_at > 0)
            FROM webhook_deliveries WHERE state = 'pending' \(webhook == nil ? "" : "AND webhook = $1")
            GROUP BY webhook
            """, arguments: webhook.map { [$0.rawValue] } ?? [])
        return rows.reduce(into: [:]) { backlogs, row in
            backlogs[WebhookNumber(rawValue: row[0])] = WebhookBacklog(
                pending: row[1], firsts: row[2], earliestRetry: row.time(3))
        }
    }
}
