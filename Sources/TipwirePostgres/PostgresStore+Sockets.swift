import TipwireCore
import TipwireStore

extension PostgresStore: SocketStore {
    public func socketSubscriptions() async throws -> [StoredSocket] {
        try await read { db in
            let rows = try db.execute(
                "SELECT \(Self.socketColumns) FROM socket_subscriptions ORDER BY created_at, id")
            return try rows.map { try StoredSocket($0) }
        }
    }

    public func createSocketSubscription(_ socket: StoredSocket) async throws {
        try await change(telling: .sockets) { db in
            _ = try db.execute(
                """
                INSERT INTO socket_subscriptions (\(EventSubscription.columns), position)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """, arguments: socket.subscription.arguments + [socket.position])
        }
    }

    public func deleteSocketSubscriptions(_ ids: [String]) async throws {
        guard !ids.isEmpty else { return }
        try await passSockets(isSynced: true) { db in
            // Each node ends what a key takes with it that was revoked; the first that comes has them.
            let count = try db.execute("DELETE FROM socket_subscriptions WHERE id = ANY($1::text[])", ids).affected
            return ((), isNews: count > 0)
        }
    }

    public func recordSocketPositions(_ positions: SocketPositions) async throws {
        var moves: [String: Int64?] = [:]
        for id in positions.levelled { moves.updateValue(nil, forKey: id) }
        for (id, position) in positions.own { moves.updateValue(position, forKey: id) }
        let moved = moves.sorted { $0.key < $1.key }
        let node = node.text
        try await write { db in
            // First: whoever frees what this node has, taking it for dead, waits here, and not for one of many rows.
            try db.execute("UPDATE nodes SET socket_level = $1 WHERE id = $2", positions.level, node)
            guard !moved.isEmpty else { return }
            try db.execute(
                """
                UPDATE socket_subscriptions SET position = moved.position
                FROM unnest($1::text[], $2::bigint[]) AS moved (id, position)
                WHERE socket_subscriptions.id = moved.id AND node = $3
                """, moved.map(\.key), PostgresValue.ints(moved.map(\.value)), node)
        }
    }

    /// What a subscription was told of: its own position, or the level of its node. Without a node it is level with what one
    /// server alone has left.
    static let socketPosition = """
        coalesce(
            position, (SELECT socket_level FROM nodes WHERE nodes.id = socket_subscriptions.node),
            (SELECT sequence FROM socket_level))
        """

    /// The columns that `StoredSocket.init(_: PostgresRow)` reads.
    static let socketColumns = "\(EventSubscription.columns), \(socketPosition)"
}

extension StoredSocket {
    init(_ row: PostgresRow) throws {
        self.init(subscription: try EventSubscription(row, table: "socket_subscriptions"), position: row[8])
    }
}
