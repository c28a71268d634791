import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

// Whoever changes deliveries locks in this order: the lease of their sending, the level, webhooks by their numbers (`lock`), deliveries.

extension PostgresStore {
    public func dispatch(_ dispatch: WebhookDispatch) async throws -> WebhookDispatch.Outcome {
        let node = node.text
        return try await write { [memory, channel] db in
            try Self.holdSending(by: node, db)
            _ = try LogRow.read(db, of: memory)
            try db.execute("UPDATE webhook_level SET sequence = $1 WHERE sequence < $1", dispatch.level)
            // Not for one that was deleted since: foreign keys would fail the whole.
            let webhooks = try Self.lock(
                dispatch.deliveries.lazy.map(\.id.webhook) + dispatch.positions.keys, db)
            // Whatever another node was asked before these events were taken is kept by now, told here or not. Looked at behind the
            // locks: who holds one may be changing a webhook.
            let count = try NewsChannel.Subject.webhooks.read(db)
            guard channel.isCurrent(.webhooks, at: count) else { throw WebhooksChanged() }
            try Self.move(dispatch.positions.filter { webhooks.contains($0.key) }, db)
            let added = try Self.insert(dispatch.deliveries.filter { webhooks.contains($0.id.webhook) }, db)
            let displaced = try Self.displace(dispatch.excess(of: added), db)
            return WebhookDispatch.Outcome(added: added, displaced: displaced)
        }
    }

    /// Keeps the sending from becoming another node's until the end of the transaction. It is nobody's where no server runs.
    private static func holdSending(by node: String, _ db: PostgresConnection) throws {
        let holder = try db.execute("SELECT node FROM leases WHERE name = 'webhooks' FOR SHARE").first
        if let holder, holder[0] as String != node { throw SendingElsewhere() }
    }

    private static func move(_ positions: [WebhookNumber: Int64?], _ db: PostgresConnection) throws {
        guard !positions.isEmpty else { return }
        let positions = Array(positions)
        // One that was disabled since isn't levelled: it stays where that left it.
        try db.execute(
            """
            UPDATE webhooks SET position = CASE WHEN disabled IS NULL THEN moved.position
                ELSE coalesce(moved.position, webhooks.position) END
            FROM unnest($1::bigint[], $2::bigint[]) AS moved (number, position) WHERE webhooks.number = moved.number
            """, positions.map(\.key.rawValue), PostgresValue.ints(positions.map(\.value)))
    }

    /// - Returns: how many of each webhook are new.
    private static func insert(
        _ deliveries: [WebhookDispatch.Delivery], _ db: PostgresConnection
    ) throws -> [WebhookNumber: Int] {
        guard !deliveries.isEmpty else { return [:] }
        let rows = try db.execute(
            """
            WITH added AS (
                INSERT INTO webhook_deliveries (webhook, sequence, test, created_at, state, due_at, attempts, round, reason)
                SELECT webhook, sequence, test, created_at, 'pending', 0, 0, 0, NULL
                FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                    AS new (webhook, sequence, test, created_at)
                ON CONFLICT DO NOTHING
                RETURNING webhook
            )
            SELECT webhook, count(*) FROM added GROUP BY webhook
            """,
            deliveries.map(\.id.webhook.rawValue), deliveries.map(\.id.sequence), deliveries.map { Int64($0.id.test) },
            deliveries.map(\.createdAt.milliseconds))
        return Dictionary(uniqueKeysWithValues: rows.map { (WebhookNumber(rawValue: $0[0]), Int($0[1] as Int64)) })
    }

    /// Makes the oldest pending deliveries of webhooks dead letters.
    private static func displace(_ excess: [WebhookNumber: Int], _ db: PostgresConnection) throws -> [DeliveryID] {
        guard !excess.isEmpty else { return [] }
        let excess = Array(excess)
        let rows = try db.execute(
            """
            UPDATE webhook_deliveries AS d SET state = 'dead', due_at = NULL, reason = $3
            FROM unnest($1::bigint[], $2::bigint[]) AS excess (webhook, count)
            CROSS JOIN LATERAL (
                SELECT sequence, test FROM webhook_deliveries
                WHERE webhook = excess.webhook AND state = 'pending' ORDER BY sequence, test LIMIT excess.count
            ) AS oldest
            WHERE d.webhook = excess.webhook AND d.sequence = oldest.sequence AND d.test = oldest.test
            RETURNING d.webhook, d.sequence, d.test
            """,
            excess.map(\.key.rawValue), excess.map { Int64($0.value) }, DeadLetterReason.tooManyPending.rawValue)
        return rows.map(DeliveryID.init).sorted()
    }

    public func createTest(
        of webhook: WebhookNumber, after sequence: Int64, id: String, body: EventBody, page: PageLabel,
        at now: Timestamp
    ) async throws -> DeliveryID {
        try await change(telling: .webhooks) { db in
            // Before its tests are counted: else two nodes would count the same.
            guard try Self.lock([webhook], db).contains(webhook) else { throw DirectoryRefusal.missingReference }
            let told =
                try db.execute(
                    "SELECT coalesce(position, (SELECT sequence FROM webhook_level)) FROM webhooks WHERE number = $1",
                    webhook.rawValue)[0][0] as Int64
            let made = try db.execute(
                """
                WITH delivery AS (
                    INSERT INTO webhook_deliveries
                        (webhook, sequence, test, created_at, state, due_at, attempts, round, reason)
                    SELECT $1::bigint, $2::bigint, coalesce(max(test), 0) + 1, $3::bigint, 'pending', 0, 0, 0, NULL
                    FROM webhook_deliveries WHERE webhook = $1 AND sequence = $2
                    RETURNING webhook, sequence, test
                )
                INSERT INTO webhook_tests (webhook, sequence, test, id, kind, data)
                SELECT webhook, sequence, test, $4::text, $5::text, $6::text FROM delivery RETURNING webhook, sequence, test
                """,
                webhook.rawValue, max(sequence, told), now.milliseconds, id, body.kind.rawValue,
                String(buffer: EventData.encode(body, page: page)))
            return DeliveryID(made[0])
        }
    }

    public func record(
        _ progress: [DeliveryProgress], standings: [WebhookNumber: EndpointStanding]
    ) async throws {
        // Whoever made an attempt made it, and it is kept of a node that doesn't send any more too.
        let disables = standings.values.contains { $0.disabled != nil }
        let body: @Sendable (PostgresConnection) throws -> Void = { [memory] db in
            _ = try LogRow.read(db, of: memory)
            // One that is disabled stands where the level is: no dispatch moves that on until this is kept.
            if disables { try db.execute("SELECT sequence FROM webhook_level FOR SHARE") }
            guard try !Self.lock(progress.map(\.id.webhook) + standings.keys, db).isEmpty else { return }
            for steps in progress.rounds { try Self.record(steps, db) }
            try Self.judge(standings, db)
        }
        // Nobody else needs to know how attempts went.
        if disables { try await write(telling: .webhooks, body) } else { try await write(body) }
    }

    private static func judge(_ standings: [WebhookNumber: EndpointStanding], _ db: PostgresConnection) throws {
        guard !standings.isEmpty else { return }
        let standings = Array(standings)
        try db.execute(
            """
            UPDATE webhooks SET failing_since = new.failing_since, disabled = coalesce(webhooks.disabled, new.disabled),
                position = CASE WHEN coalesce(webhooks.disabled, new.disabled) IS NULL THEN position
                    ELSE coalesce(position, (SELECT sequence FROM webhook_level)) END
            FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS new (number, failing_since, disabled)
            WHERE webhooks.number = new.number
            """,
            standings.map(\.key.rawValue), PostgresValue.ints(standings.map(\.value.failingSince?.milliseconds)),
            PostgresValue.texts(standings.map(\.value.disabled?.rawValue)))
    }

    /// - Parameter steps: no two of one delivery, of which a statement would keep any.
    private static func record(_ steps: [DeliveryProgress], _ db: PostgresConnection) throws {
        let states = steps.map(\.state.columns)
        let attempts = steps.map(\.attempt)
        try db.execute(
            """
            WITH step AS (
                SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[],
                    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[],
                    $14::text[], $15::bytea[])
                AS step (webhook, sequence, test, state, due_at, reason, round, number, began_at, duration, status, code,
                    outcome, address, answer)
            ), kept AS (
                UPDATE webhook_deliveries AS d SET state = step.state, due_at = step.due_at, reason = step.reason,
                    attempts = greatest(d.attempts, step.number), round = step.round
                FROM step
                WHERE d.webhook = step.webhook AND d.sequence = step.sequence AND d.test = step.test
                    AND (d.state = 'pending' OR step.state = 'delivered')
                RETURNING step.*
            )
            INSERT INTO webhook_attempts (webhook, sequence, test, number, began_at, duration, status, code, outcome,
                address, answer)
            SELECT webhook, sequence, test, number, began_at, duration, status, code, outcome, address, answer
            FROM kept WHERE number IS NOT NULL
            ON CONFLICT (webhook, sequence, test, number) DO UPDATE SET began_at = excluded.began_at,
                duration = excluded.duration, status = excluded.status, code = excluded.code,
                outcome = excluded.outcome, address = excluded.address, answer = excluded.answer
            """,
            steps.map(\.id.webhook.rawValue), steps.map(\.id.sequence), steps.map { Int64($0.id.test) },
            states.map(\.state), PostgresValue.ints(states.map(\.due)), PostgresValue.texts(states.map(\.reason)),
            steps.map { Int64($0.round) }, PostgresValue.ints(attempts.map { $0.map { Int64($0.number) } }),
            PostgresValue.ints(attempts.map(\.?.began.milliseconds)), PostgresValue.ints(attempts.map(\.?.duration)),
            PostgresValue.ints(attempts.map { $0?.status.map(Int64.init) }),
            PostgresValue.texts(attempts.map(\.?.code)), PostgresValue.texts(attempts.map(\.?.outcome)),
            PostgresValue.texts(attempts.map { $0?.address }),
            PostgresValue.blobs(attempts.map { $0.map { ByteBuffer(string: $0.answer) } }))
    }

    public func retry(
        _ selection: RetrySelection, of webhook: WebhookNumber, at now: Timestamp
    ) async throws -> RetriedDeliveries {
        var conditions = ["d.webhook = $2"]
        var arguments: [PostgresValue] = [.int(webhook.rawValue)]
        func add(_ value: PostgresValue, _ condition: (String) -> String) {
            arguments.append(value)
            conditions.append(condition("$\(arguments.count + 1)"))
        }
        if let kind = selection.kind { add(.text(kind.rawValue)) { "d.state = \($0)" } }
        if let from = selection.from { add(.int(from.milliseconds)) { "d.created_at >= \($0)" } }
        if let to = selection.to { add(.int(to.milliseconds)) { "d.created_at < \($0)" } }
        if let status = selection.status {
            add(.int(Int64(status))) {
                """
                EXISTS (SELECT 1 FROM webhook_attempts a WHERE a.webhook = d.webhook AND a.sequence = d.sequence
                    AND a.test = d.test AND a.number = d.attempts AND a.status = \($0))
                """
            }
        }
        return try await retry(of: webhook, where: conditions.joined(separator: " AND "), arguments, at: now)
    }

    public func retry(_ id: DeliveryID, at now: Timestamp) async throws -> RetriedDeliveries {
        try await retry(
            of: id.webhook, where: "d.webhook = $2 AND d.sequence = $3 AND d.test = $4",
            id.arguments, at: now)
    }

    /// - Parameter conditions: what `arguments` go into, from `$2` on.
    private func retry(
        of webhook: WebhookNumber, where conditions: String, _ arguments: [PostgresValue],
        at now: Timestamp
    ) async throws -> RetriedDeliveries {
        try await write(telling: .webhooks) { db in
            guard try !Self.lock([webhook], db).isEmpty else { return RetriedDeliveries(count: 0, revived: 0) }
            // Behind the first attempts that wait, whose order it isn't part of: due from now on.
            let due = max(now.milliseconds, 1)
            let counts = try db.execute(
                """
                WITH picked AS MATERIALIZED (
                    SELECT d.webhook, d.sequence, d.test, d.state FROM webhook_deliveries AS d WHERE \(conditions)
                ), put AS (
                    UPDATE webhook_deliveries AS d SET state = 'pending', reason = NULL, round = 0,
                        due_at = CASE WHEN d.due_at = 0 THEN 0 ELSE $1::bigint END
                    FROM picked WHERE (d.webhook, d.sequence, d.test) = (picked.webhook, picked.sequence, picked.test)
                )
                SELECT count(*), count(*) FILTER (WHERE state <> 'pending') FROM picked
                """, arguments: [.int(due)] + arguments)
            return RetriedDeliveries(count: counts[0][0], revived: counts[0][1])
        }
    }

    public func trimDeliveries(of webhook: WebhookNumber, keeping keep: Int, limit: Int) async throws -> Int {
        precondition(limit > 0, "a trimming removes at least one delivery")
        return try await write { db in
            // One that has ended now could be tried again by the time that it is removed.
            guard try !Self.lock([webhook], db).isEmpty else { return 0 }
            let found = try db.execute(
                """
                SELECT $1::bigint, coalesce(surplus.sequence, -1), coalesce(surplus.test, 0), log.pruned_through FROM log
                LEFT JOIN LATERAL (
                    SELECT sequence, test FROM webhook_deliveries WHERE webhook = $1 AND state <> 'pending'
                    ORDER BY sequence DESC, test DESC LIMIT 1 OFFSET $2
                ) AS surplus ON true
                """, webhook.rawValue, keep)
            guard let row = found.first else { throw DamagedRow(table: "log", problem: "it is empty") }
            // Not the tests behind it: the log never held them, and they are younger than all that it has lost.
            let pruned = DeliveryID(webhook: webhook, sequence: row[3])
            let last = max(pruned, DeliveryID(row))
            return try db.execute(
                """
                DELETE FROM webhook_deliveries WHERE (webhook, sequence, test) IN (
                    SELECT webhook, sequence, test FROM webhook_deliveries
                    WHERE webhook = $1 AND (sequence, test) <= ($2::bigint, $3::bigint) AND state <> 'pending'
                    ORDER BY sequence, test LIMIT $4)
                """, last.webhook.rawValue, last.sequence, last.test, limit
            ).affected
        }
    }
}

extension DeliveryID {
    /// `webhook`, `sequence` and `test`, in the order of every table's key.
    var arguments: [PostgresValue] { [.int(webhook.rawValue), .int(sequence), .int(Int64(test))] }

    /// A row that begins with `webhook`, `sequence` and `test`, as every table's key does.
    init(_ row: PostgresRow) {
        self.init(webhook: WebhookNumber(rawValue: row[0]), sequence: row[1], test: row[2])
    }
}

extension [DeliveryProgress] {
    /// The same steps, in parts of which none holds a delivery twice: those of one delivery follow each other. Nearly always
    /// one part.
    fileprivate var rounds: [[DeliveryProgress]] {
        var rounds: [[DeliveryProgress]] = []
        var counts: [DeliveryID: Int] = [:]
        for step in self {
            let round = counts[step.id, default: 0]
            counts[step.id] = round + 1
            if round == rounds.count { rounds.append([]) }
            rounds[round].append(step)
        }
        return rounds
    }
}
