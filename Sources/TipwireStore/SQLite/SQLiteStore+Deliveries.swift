import GRDB
import NIOCore
import TipwireCore
import TipwireWire

extension SQLiteStore {
    public func dispatch(_ dispatch: WebhookDispatch) async throws -> WebhookDispatch.Outcome {
        try await write { db in
            try db.cachedStatement(sql: "UPDATE webhook_level SET sequence = max(sequence, ?)")
                .execute(arguments: [dispatch.level])
            // One that was disabled since isn't levelled: it stays where that left it.
            let move = try db.cachedStatement(
                sql: """
                    UPDATE webhooks SET position = CASE WHEN disabled IS NULL THEN ?1 ELSE coalesce(?1, position) END
                    WHERE number = ?2
                    """)
            for (webhook, position) in dispatch.positions {
                try move.execute(arguments: [position, webhook.rawValue])
            }
            // Not for one that was deleted since: foreign keys would fail the whole.
            let insert = try db.cachedStatement(
                sql: """
                    INSERT INTO webhook_deliveries (webhook, sequence, test, created_at, state, due_at, attempts, round,
                        reason)
                    SELECT number, ?, ?, ?, 'pending', 0, 0, 0, NULL FROM webhooks WHERE number = ?
                    ON CONFLICT DO NOTHING
                    """)
            var added: [WebhookNumber: Int] = [:]
            for delivery in dispatch.deliveries {
                try insert.execute(arguments: [
                    delivery.id.sequence, delivery.id.test, delivery.createdAt.milliseconds,
                    delivery.id.webhook.rawValue,
                ])
                if db.changesCount > 0 { added[delivery.id.webhook, default: 0] += 1 }
            }
            let displaced = try dispatch.excess(of: added)
                .flatMap { try Self.displace(db, of: $0.key, count: $0.value) }
            return WebhookDispatch.Outcome(added: added, displaced: displaced)
        }
    }

    /// Makes the oldest pending deliveries of a webhook dead letters.
    private static func displace(_ db: Database, of webhook: WebhookNumber, count: Int) throws -> [DeliveryID] {
        let rows = try Row.fetchAll(
            db.cachedStatement(
                sql: """
                    SELECT sequence, test FROM webhook_deliveries WHERE webhook = ? AND state = 'pending'
                    ORDER BY sequence, test LIMIT ?
                    """), arguments: [webhook.rawValue, count])
        let ids = rows.map { DeliveryID(webhook: webhook, sequence: $0[0], test: $0[1]) }
        let bury = try db.cachedStatement(
            sql: """
                UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, reason = ?
                WHERE webhook = ? AND sequence = ? AND test = ?
                """)
        for id in ids {
            try bury.execute(arguments: [
                DeadLetterReason.tooManyPending.rawValue, webhook.rawValue, id.sequence, id.test,
            ])
        }
        return ids
    }

    public func createTest(
        of webhook: WebhookNumber, after sequence: Int64, id: String, body: EventBody, page: PageLabel,
        at now: Timestamp
    ) async throws -> DeliveryID {
        try await change { db in
            let told = try Int64.fetchOne(
                db,
                sql: """
                    SELECT coalesce(position, (SELECT sequence FROM webhook_level)) FROM webhooks WHERE number = ?
                    """, arguments: [webhook.rawValue])
            let sequence = max(sequence, told ?? sequence)
            let last = try Int.fetchOne(
                db, sql: "SELECT max(test) FROM webhook_deliveries WHERE webhook = ? AND sequence = ?",
                arguments: [webhook.rawValue, sequence])
            let delivery = DeliveryID(webhook: webhook, sequence: sequence, test: (last ?? 0) + 1)
            try db.execute(
                sql: "INSERT INTO webhook_deliveries VALUES (?, ?, ?, ?, 'pending', 0, 0, 0, NULL)",
                arguments: delivery.arguments + [now.milliseconds])
            let data = EventData.encode(body, page: page)
            try db.execute(
                sql: "INSERT INTO webhook_tests VALUES (?, ?, ?, ?, ?, ?)",
                arguments: delivery.arguments + [id, body.kind.rawValue, String(buffer: data)])
            return delivery
        }
    }

    public func record(
        _ progress: [DeliveryProgress], standings: [WebhookNumber: EndpointStanding]
    ) async throws {
        try await write { db in
            for step in progress { try Self.record(step, db) }
            let fail = try db.cachedStatement(
                sql: """
                    UPDATE webhooks SET failing_since = ?1, disabled = coalesce(disabled, ?2),
                        position = CASE WHEN coalesce(disabled, ?2) IS NULL THEN position
                            ELSE coalesce(position, (SELECT sequence FROM webhook_level)) END
                    WHERE number = ?3
                    """)
            for (webhook, standing) in standings {
                try fail.execute(arguments: [
                    standing.failingSince?.milliseconds, standing.disabled?.rawValue, webhook.rawValue,
                ])
            }
        }
    }

    private static func record(_ step: DeliveryProgress, _ db: Database) throws {
        let (state, due, reason) = step.state.columns
        let update = try db.cachedStatement(
            sql: """
                UPDATE webhook_deliveries SET state = ?1, due_at = ?2, reason = ?3, attempts = max(attempts, ?4),
                    round = ?5
                WHERE webhook = ?6 AND sequence = ?7 AND test = ?8 AND (state = 'pending' OR ?1 = 'delivered')
                """)
        try update.execute(
            arguments: [state, due, reason, step.attempt?.number ?? 0, step.round] + step.id.arguments)
        guard db.changesCount > 0, let attempt = step.attempt else { return }
        try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO webhook_attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ).execute(
            arguments: step.id.arguments + [
                attempt.number, attempt.began.milliseconds, attempt.duration, attempt.status, attempt.code,
                attempt.outcome, attempt.address, attempt.answer,
            ])
    }

    public func retry(
        _ selection: RetrySelection, of webhook: WebhookNumber, at now: Timestamp
    ) async throws -> RetriedDeliveries {
        var conditions = "d.webhook = ?"
        var arguments: StatementArguments = [webhook.rawValue]
        if let kind = selection.kind {
            conditions += " AND d.state = ?"
            arguments += [kind.rawValue]
        }
        if let from = selection.from {
            conditions += " AND d.created_at >= ?"
            arguments += [from.milliseconds]
        }
        if let to = selection.to {
            conditions += " AND d.created_at < ?"
            arguments += [to.milliseconds]
        }
        if let status = selection.status {
            conditions += """
                 AND EXISTS (SELECT 1 FROM webhook_attempts a WHERE a.webhook = d.webhook AND a.sequence = d.sequence
                    AND a.test = d.test AND a.number = d.attempts AND a.status = ?)
                """
            arguments += [status]
        }
        return try await retry(where: conditions, arguments, at: now)
    }

    public func retry(_ id: DeliveryID, at now: Timestamp) async throws -> RetriedDeliveries {
        try await retry(where: "d.webhook = ? AND d.sequence = ? AND d.test = ?", id.arguments, at: now)
    }

    private func retry(
        where conditions: String, _ arguments: StatementArguments, at now: Timestamp
    ) async throws -> RetriedDeliveries {
        try await write { db in
            // Behind the first attempts that wait, whose order it isn't part of: due from now on.
            let due = max(now.milliseconds, 1)
            let revived =
                try Int.fetchOne(
                    db,
                    sql: "SELECT count(*) FROM webhook_deliveries d WHERE \(conditions) AND d.state <> 'pending'",
                    arguments: arguments) ?? 0
            try db.execute(
                sql: """
                    UPDATE webhook_deliveries AS d SET state = 'pending', reason = NULL, round = 0,
                        due_at = CASE WHEN due_at = 0 THEN 0 ELSE \(due) END
                    WHERE \(conditions)
                    """, arguments: arguments)
            return RetriedDeliveries(count: db.changesCount, revived: revived)
        }
    }

    public func trimDeliveries(of webhook: WebhookNumber, keeping keep: Int, limit: Int) async throws -> Int {
        precondition(limit > 0, "a trimming removes at least one delivery")
        return try await write { db in
            // Not the tests behind it: the log never held them, and they are younger than all that it has lost.
            let pruned = DeliveryID(webhook: webhook, sequence: try LogRow.read(db).prunedThrough)
            let surplus = try Row.fetchOne(
                db,
                sql: """
                    SELECT sequence, test FROM webhook_deliveries WHERE webhook = ? AND state <> 'pending'
                    ORDER BY sequence DESC, test DESC LIMIT 1 OFFSET ?
                    """, arguments: [webhook.rawValue, keep]
            ).map { DeliveryID(webhook: webhook, sequence: $0[0], test: $0[1]) }
            let last = max(pruned, surplus ?? pruned)
            try db.execute(
                sql: """
                    DELETE FROM webhook_deliveries WHERE (webhook, sequence, test) IN (
                        SELECT webhook, sequence, test FROM webhook_deliveries
                        WHERE webhook = ? AND (sequence, test) <= (?, ?) AND state <> 'pending'
                        ORDER BY sequence, test LIMIT ?)
                    """, arguments: last.arguments + [limit])
            return db.changesCount
        }
    }
}

extension DeliveryID {
    /// `webhook`, `sequence` and `test`, in the order of every table's key.
    var arguments: StatementArguments { [webhook.rawValue, sequence, test] }
}
