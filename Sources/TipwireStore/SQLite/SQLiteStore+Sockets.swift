import GRDB
import TipwireCore

extension SQLiteStore {
    public func socketSubscriptions() async throws -> [StoredSocket] {
        try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT \(EventSubscription.columns), coalesce(position, (SELECT sequence FROM socket_level))
                    FROM socket_subscriptions ORDER BY created_at, id
                    """)
            return try rows.map { row in
                StoredSocket(
                    subscription: try EventSubscription(row, table: "socket_subscriptions"), position: row[8])
            }
        }
    }

    public func createSocketSubscription(_ socket: StoredSocket) async throws {
        try await change { db in
            try db.execute(
                sql: """
                    INSERT INTO socket_subscriptions (\(EventSubscription.columns), position)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: socket.subscription.arguments + [socket.position])
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
