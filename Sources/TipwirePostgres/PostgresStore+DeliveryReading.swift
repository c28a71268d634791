import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

extension PostgresStore {
    public func firsts(
        of webhook: WebhookNumber, after id: DeliveryID?, limit: Int
    ) async throws -> [DeliveryID] {
        try await read { db in
            try db.execute(
                """
                SELECT webhook, sequence, test FROM webhook_deliveries
                WHERE webhook = $1 AND (sequence, test) > ($2::bigint, $3::bigint) AND state = 'pending' AND due_at = 0
                ORDER BY sequence, test LIMIT $4
                """, webhook.rawValue, id?.sequence ?? -1, id?.test ?? 0, limit
            ).map { DeliveryID($0) }
        }
    }

    public func retries(
        of webhook: WebhookNumber, limit: Int
    ) async throws -> [(id: DeliveryID, due: Timestamp)] {
        try await read { db in
            try db.execute(
                """
                SELECT webhook, sequence, test, due_at FROM webhook_deliveries WHERE webhook = $1 AND due_at > 0
                ORDER BY due_at, sequence, test LIMIT $2
                """, webhook.rawValue, limit
            ).map { row in (DeliveryID(row), Timestamp(milliseconds: row[3])) }
        }
    }

    public func delivery(_ id: DeliveryID) async throws -> StoredDelivery? {
        try await read { db in
            try db.execute(
                "\(Self.deliveryQuery) AND d.sequence = $2 AND d.test = $3", arguments: id.arguments
            ).first.map { try Self.delivery($0) }
        }
    }

    public func deadCounts(of webhooks: [WebhookNumber]) async throws -> [WebhookNumber: Int] {
        try await read { db in
            let rows = try db.execute(
                """
                SELECT webhook, count(*) FROM webhook_deliveries
                WHERE webhook = ANY($1::bigint[]) AND state = 'dead' GROUP BY webhook
                """, webhooks.map(\.rawValue))
            let none = Dictionary(webhooks.map { ($0, 0) }) { first, _ in first }
            return rows.reduce(into: none) { counts, row in counts[WebhookNumber(rawValue: row[0])] = row[1] }
        }
    }

    public func testContent(of id: DeliveryID) async throws -> EventBody? {
        try await read { db in
            try db.execute(
                "SELECT kind, data FROM webhook_tests WHERE webhook = $1 AND sequence = $2 AND test = $3",
                arguments: id.arguments
            ).first.map { try EventData.decode(kind: $0[0], data: $0[1]) }
        }
    }

    public func test(_ id: String, of webhook: WebhookNumber) async throws -> DeliveryID? {
        // PostgreSQL refuses a text with a NUL, which whoever asks may have sent: there is no such message.
        guard !id.utf8.contains(0) else { return nil }
        return try await read { db in
            try db.execute(
                "SELECT webhook, sequence, test FROM webhook_tests WHERE webhook = $1 AND id = $2",
                webhook.rawValue, id
            ).first.map { DeliveryID($0) }
        }
    }

    public func deliveries(
        of webhook: WebhookNumber, kind: DeliveryKind?, before id: DeliveryID?, limit: Int
    ) async throws -> [StoredDelivery] {
        try await read { db in
            var arguments: [PostgresValue] = [
                .int(webhook.rawValue), .int(id?.sequence ?? .max), .int(Int64(id?.test ?? 0)), .int(Int64(limit)),
            ]
            if let kind { arguments.append(.text(kind.rawValue)) }
            return try db.execute(
                """
                \(Self.deliveryQuery) AND (d.sequence, d.test) < ($2::bigint, $3::bigint)
                    \(kind == nil ? "" : "AND d.state = $5")
                ORDER BY d.sequence DESC, d.test DESC LIMIT $4
                """, arguments: arguments
            ).map { try Self.delivery($0) }
        }
    }

    public func deliveries(ofTip tip: TipIdentifier, page: Page.ID) async throws -> [TipDelivery] {
        try await read { db in
            // OFFSET keeps each stretch of the log a search of its own. Joined flat, a planner that doesn't know how short the
            // stretches are goes through all deliveries of the page.
            try db.execute(
                """
                SELECT d.sequence, w.id, w.callback, d.state, d.attempts, d.created_at
                FROM tips t JOIN webhooks w ON w.page_id = t.page_id
                CROSS JOIN LATERAL (VALUES (t.first_sequence, t.last_sequence),
                    (t.refund_first_sequence, t.refund_last_sequence)) AS events (first, last)
                CROSS JOIN LATERAL (
                    SELECT * FROM webhook_deliveries WHERE webhook = w.number AND test = 0
                        AND sequence BETWEEN events.first AND events.last
                    OFFSET 0
                ) AS d
                WHERE t.page_id = $1 AND t.id = $2 ORDER BY d.sequence, w.number
                """, page.rawValue, tip.text
            ).map { row in
                TipDelivery(
                    sequence: row[0], subscription: row[1], callback: row[2], state: row[3], attempts: row[4],
                    createdAt: Timestamp(milliseconds: row[5]))
            }
        }
    }

    public func attempts(of id: DeliveryID) async throws -> [StoredAttempt] {
        try await read { db in
            try db.execute(
                """
                SELECT number, began_at, duration, status, code, outcome, address, answer FROM webhook_attempts
                WHERE webhook = $1 AND sequence = $2 AND test = $3 ORDER BY number
                """, arguments: id.arguments
            ).map { StoredAttempt($0, from: 0) }
        }
    }

    /// Deliveries with their last attempts; the condition is to go on.
    private static let deliveryQuery = """
        SELECT d.webhook, d.sequence, d.test, d.created_at, d.state, d.due_at, d.reason, d.attempts, d.round, t.id,
            a.number, a.began_at, a.duration, a.status, a.code, a.outcome, a.address, a.answer
        FROM webhook_deliveries d
        LEFT JOIN webhook_attempts a ON a.webhook = d.webhook AND a.sequence = d.sequence AND a.test = d.test
            AND a.number = d.attempts
        LEFT JOIN webhook_tests t ON d.test > 0 AND t.webhook = d.webhook AND t.sequence = d.sequence
            AND t.test = d.test
        WHERE d.webhook = $1
        """

    private static func delivery(_ row: PostgresRow) throws -> StoredDelivery {
        StoredDelivery(
            id: DeliveryID(row), createdAt: Timestamp(milliseconds: row[3]),
            state: try DeliveryState(row[4], due: row[5], reason: row[6]), attempts: row[7], round: row[8],
            last: (row[10] as Int?).map { _ in StoredAttempt(row, from: 10) }, testID: row[9])
    }
}

extension StoredAttempt {
    /// - Parameter start: the index of the column `number`, behind which the others follow.
    fileprivate init(_ row: PostgresRow, from start: Int) {
        self.init(
            number: row[start], began: Timestamp(milliseconds: row[start + 1]), duration: row[start + 2],
            status: row[start + 3], code: row[start + 4], outcome: row[start + 5], address: row[start + 6],
            answer: String(buffer: row[start + 7]))
    }
}
