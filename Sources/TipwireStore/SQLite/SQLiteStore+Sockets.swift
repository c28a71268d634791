import GRDB
import TipwireCore

extension SQLiteStore {
    public func socketSubscriptions() async throws -> [StoredSocket] {
        try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT id, page_id, account_id, key_id, type, minimum_amount, minimum_cents, created_at,
                        coalesce(position, (SELECT sequence FROM socket_level))
                    FROM socket_subscriptions ORDER BY created_at, id
                    """)
            return try rows.map { row in
                guard let type = EventSubType(rawValue: row[4]) else {
                    throw DamagedRow(table: "socket_subscriptions", problem: "unknown type")
                }
                var condition: EventSubCondition?
                if let text = row[5] as String?, let cents = row[6] as Int? {
                    condition = EventSubCondition(minimumAmountInCents: cents, minimumAmount: text)
                }
                return StoredSocket(
                    subscription: EventSubscription(
                        id: row[0], page: Page.ID(rawValue: row[1]), account: Account.ID(rawValue: row[2]), key: row[3],
                        type: type, condition: condition, createdAt: Timestamp(milliseconds: row[7])),
                    position: row[8])
            }
        }
    }

    public func createSocketSubscription(_ socket: StoredSocket) async throws {
        let subscription = socket.subscription
        try await change { db in
            try db.execute(
                sql: """
                    INSERT INTO socket_subscriptions (id, page_id, account_id, key_id, type, minimum_amount,
                        minimum_cents, created_at, position)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    subscription.id, subscription.page.rawValue, subscription.account.rawValue, subscription.key,
                    subscription.type.rawValue, subscription.condition?.minimumAmount,
                    subscription.condition?.minimumAmountInCents, subscription.createdAt.milliseconds,
                    socket.position,
                ])
        }
    }

    public func deleteSocketSubscriptions(_ ids: [String]) async throws {
        guard !ids.isEmpty else { return }
        try await write { db in
            let statement = try db.cachedStatement(sql: "DELETE FROM socket_subscriptions WHERE id = ?")
            for id in ids { try statement.execute(arguments: [id]) }
        }
    }

    public func recordSocketPositions(_ positions: SocketPositions) async throws {
        try await write { db in
            try db.execute(sql: "UPDATE socket_level SET sequence = ?", arguments: [positions.level])
            let statement = try db.cachedStatement(sql: "UPDATE socket_subscriptions SET position = ? WHERE id = ?")
            for id in positions.levelled { try statement.execute(arguments: [nil, id]) }
            for (id, position) in positions.own { try statement.execute(arguments: [position, id]) }
        }
    }
}
