import TipwireCore
import TipwireStore

extension PostgresStore: SocketStore {
    public func socketSubscriptions() async throws -> [StoredSocket] {
        try await read { db in
            let rows = try db.execute(
                """
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
            _ = try db.execute(
                """
                INSERT INTO socket_subscriptions (\(EventSubscription.columns), position)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """, arguments: socket.subscription.arguments + [socket.position])
        }
    }

    public func deleteSocketSubscriptions(_ ids: [String]) async throws {
        guard !ids.isEmpty else { return }
        try await write { db in
            _ = try db.execute("DELETE FROM socket_subscriptions WHERE id = ANY($1::text[])", ids)
        }
    }

    public func recordSocketPositions(_ positions: SocketPositions) async throws {
        var moves: [String: Int64?] = [:]
        for id in positions.levelled { moves.updateValue(nil, forKey: id) }
        for (id, position) in positions.own { moves.updateValue(position, forKey: id) }
        let moved = moves.sorted { $0.key < $1.key }
        try await write { db in
            // First: of two nodes that tell where subscriptions stand, the one waits for the other here, and not for one
            // of many rows.
            try db.execute("UPDATE socket_level SET sequence = $1", positions.level)
            guard !moved.isEmpty else { return }
            try db.execute(
                """
                UPDATE socket_subscriptions SET position = moved.position
                FROM unnest($1::text[], $2::bigint[]) AS moved (id, position)
                WHERE socket_subscriptions.id = moved.id
                """, moved.map(\.key), PostgresValue.ints(moved.map(\.value)))
        }
    }
}
