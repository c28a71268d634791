import GRDB
import NIOCore
import TipwireCore
import TipwireWire

extension SQLiteStore {
    public func firsts(
        of webhook: WebhookNumber, after id: DeliveryID?, limit: Int
    ) async throws -> [DeliveryID] {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT sequence, test FROM webhook_deliveries
                    WHERE webhook = ? AND (sequence, test) > (?, ?) AND state = 'pending' AND due_at = 0
                    ORDER BY sequence, test LIMIT ?
                    """)
            return try Row.fetchAll(
                statement, arguments: [webhook.rawValue, id?.sequence ?? -1, id?.test ?? 0, limit]
            ).map { DeliveryID(webhook: webhook, sequence: $0[0], test: $0[1]) }
        }
    }

    public func retries(
        of webhook: WebhookNumber, limit: Int
    ) async throws -> [(id: DeliveryID, due: Timestamp)] {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT sequence, test, due_at FROM webhook_deliveries WHERE webhook = ? AND due_at > 0
                    ORDER BY due_at, sequence, test LIMIT ?
                    """)
            return try Row.fetchAll(statement, arguments: [webhook.rawValue, limit]).map { row in
                (DeliveryID(webhook: webhook, sequence: row[0], test: row[1]), Timestamp(milliseconds: row[2]))
            }
        }
    }

    public func delivery(_ id: DeliveryID) async throws -> StoredDelivery? {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: "\(Self.deliveryQuery) AND d.sequence = ? AND d.test = ?")
            return try Row.fetchOne(statement, arguments: id.arguments).map { try Self.delivery($0, of: id.webhook) }
        }
    }

    public func deadCounts(of webhooks: [WebhookNumber]) async throws -> [WebhookNumber: Int] {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: "SELECT count(*) FROM webhook_deliveries WHERE webhook = ? AND state = 'dead'")
            return try webhooks.reduce(into: [:]) { counts, webhook in
                counts[webhook] = try Int.fetchOne(statement, arguments: [webhook.rawValue])
            }
        }
    }

    public func testContent(of id: DeliveryID) async throws -> EventBody? {
        try await read { db in
            try Row.fetchOne(
                db, sql: "SELECT kind, data FROM webhook_tests WHERE webhook = ? AND sequence = ? AND test = ?",
                arguments: id.arguments
            ).map { try EventData.decode(kind: $0[0], data: ByteBuffer(string: $0[1])) }
        }
    }

    public func test(_ id: String, of webhook: WebhookNumber) async throws -> DeliveryID? {
        try await read { db in
            try Row.fetchOne(
                db, sql: "SELECT sequence, test FROM webhook_tests WHERE webhook = ? AND id = ?",
                arguments: [webhook.rawValue, id]
            ).map { DeliveryID(webhook: webhook, sequence: $0[0], test: $0[1]) }
        }
    }

    public func deliveries(
        of webhook: WebhookNumber, kind: DeliveryKind?, before id: DeliveryID?, limit: Int
    ) async throws -> [StoredDelivery] {
        try await read { db in
            var arguments: StatementArguments = [webhook.rawValue, id?.sequence ?? .max, id?.test ?? 0]
            if let kind { arguments += [kind.rawValue] }
            let statement = try db.cachedStatement(
                sql: """
                    \(Self.deliveryQuery) AND (d.sequence, d.test) < (?, ?) \(kind == nil ? "" : "AND d.state = ?")
                    ORDER BY d.sequence DESC, d.test DESC LIMIT ?
                    """)
            return try Row.fetchAll(statement, arguments: arguments + [limit])
                .map { try Self.delivery($0, of: webhook) }
        }
    }

    public func deliveries(ofTip tip: TipIdentifier, page: Page.ID) async throws -> [TipDelivery] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT d.sequence, w.id, w.callback, d.state, d.attempts, d.created_at
                    FROM tips t JOIN webhooks w ON w.page_id = t.page_id
                    JOIN webhook_deliveries d ON d.webhook = w.number AND d.test = 0
                        AND (d.sequence BETWEEN t.first_sequence AND t.last_sequence
                            OR d.sequence BETWEEN t.refund_first_sequence AND t.refund_last_sequence)
                    WHERE t.page_id = ? AND t.id = ? ORDER BY d.sequence, w.number
                    """,
                arguments: [page.rawValue, tip.text]
            ).map { row in
                TipDelivery(
                    sequence: row[0], subscription: row[1], callback: row[2], state: row[3], attempts: row[4],
                    createdAt: Timestamp(milliseconds: row[5]))
            }
        }
    }

    public func attempts(of id: DeliveryID) async throws -> [StoredAttempt] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT number, began_at, duration, status, code, outcome, address, answer FROM webhook_attempts
                    WHERE webhook = ? AND sequence = ? AND test = ? ORDER BY number
                    """, arguments: id.arguments
            ).map { StoredAttempt($0, from: 0) }
        }
    }

    /// Deliveries with their last attempts; the condition is to go on.
    private static let deliveryQuery = """
        SELECT d.sequence, d.test, d.created_at, d.state, d.due_at, d.reason, d.attempts, d.round, t.id,
            a.number, a.began_at, a.duration, a.status, a.code, a.outcome, a.address, a.answer
        FROM webhook_deliveries d
        LEFT JOIN webhook_attempts a ON a.webhook = d.webhook AND a.sequence = d.sequence AND a.test = d.test
            AND a.number = d.attempts
        LEFT JOIN webhook_tests t ON d.test > 0 AND t.webhook = d.webhook AND t.sequence = d.sequence
            AND t.test = d.test
        WHERE d.webhook = ?
        """

    private static func delivery(_ row: Row, of webhook: WebhookNumber) throws -> StoredDelivery {
        StoredDelivery(
            id: DeliveryID(webhook: webhook, sequence: row[0], test: row[1]),
            createdAt: Timestamp(milliseconds: row[2]),
            state: try DeliveryState(row[3], due: row[4], reason: row[5]), attempts: row[6], round: row[7],
            last: (row[9] as Int?).map { _ in StoredAttempt(row, from: 9) }, testID: row[8])
    }
}

extension StoredAttempt {
    /// - Parameter start: the index of the column `number`, behind which the others follow.
    fileprivate init(_ row: Row, from start: Int) {
        self.init(
            number: row[start], began: Timestamp(milliseconds: row[start + 1]), duration: row[start + 2],
            status: row[start + 3], code: row[start + 4], outcome: row[start + 5], address: row[start + 6],
            answer: row[start + 7])
    }
}
