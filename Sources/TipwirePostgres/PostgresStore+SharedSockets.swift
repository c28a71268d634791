import TipwireCore
import TipwireStore

extension PostgresStore: SharedSocketStore {
    public func sharedSockets() async throws -> [SharedSocket] {
        try await read { db in
            try db.execute(
                """
                SELECT \(Self.socketColumns), node, wanted_at IS NOT NULL FROM socket_subscriptions
                ORDER BY created_at, id
                """
            ).map { row in
                let node: String? = row[9]
                return SharedSocket(try StoredSocket(row), node: node.map(NodeID.init(text:)), isWanted: row[10])
            }
        }
    }

    public func reopenSocketWindows() async throws {
        let node = node.text
        try await write { db in
            _ = try db.execute(
                """
                UPDATE socket_subscriptions SET waits_until = NULL
                WHERE node IS NULL AND waits_until IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM nodes WHERE id <> $1 AND seen_at > \(Self.clock) - \(NodeTimes.dead))
                """, node)
        }
    }

    public func claimSocket(_ id: String, asked: Int64?) async throws -> SharedClaim {
        // PostgreSQL refuses a text with a NUL, which whoever asks may have sent: there is no such subscription.
        guard !id.utf8.contains(0) else { return .unknown }
        let node = node.text
        return try await passSockets { db in
            let isThere = try Self.holdNode(node, db)
            guard let row = try SocketRow.lock(id, db) else { return (.unknown, isNews: false) }
            let silence = try row.node.flatMap { $0 == node ? nil : try Self.silence(of: $0, at: row.now, db) }
            switch row.fate(asked: asked, silence: silence) {
            case .mine:
                guard isThere else { return (.asked(at: asked ?? row.now), isNews: false) }
                try db.execute(
                    """
                    UPDATE socket_subscriptions
                    SET node = $2, position = $3, waits_until = NULL, wanted_at = NULL, kept_at = NULL WHERE id = $1
                    """, id, node, row.socket.position)
                return (.granted(row.socket), isNews: true)
            case .another(let time):
                // Told once for each socket that asks: it may be long ago that another one did.
                guard asked == nil else { return (.asked(at: time), isNews: false) }
                try db.execute("UPDATE socket_subscriptions SET wanted_at = $2 WHERE id = $1", id, time)
                return (.asked(at: time), isNews: true)
            case .kept: return (.occupied, isNews: false)
            case .over: return (.unknown, isNews: false)
            }
        }
    }

    public func releaseSockets(_ positions: [String: Int64]) async throws {
        guard !positions.isEmpty else { return }
        let node = node.text
        let freed = positions.sorted { $0.key < $1.key }
        try await passSockets { db in
            let count = try db.execute(
                """
                UPDATE socket_subscriptions SET node = NULL, waits_until = NULL, wanted_at = NULL, position = freed.position
                FROM unnest($1::text[], $2::bigint[]) AS freed (id, position)
                WHERE socket_subscriptions.id = freed.id AND node = $3
                """, freed.map(\.key), freed.map(\.value), node
            ).affected
            return ((), isNews: count > 0)
        }
    }

    public func keepSockets(_ ids: Set<String>) async throws {
        guard !ids.isEmpty else { return }
        let node = node.text
        try await passSockets { db in
            // Whoever has asked looks again in a moment.
            try db.execute(
                """
                UPDATE socket_subscriptions SET wanted_at = NULL, kept_at = \(Self.clock)
                WHERE id = ANY($1::text[]) AND node = $2
                """, ids.sorted(), node)
            return ((), isNews: false)
        }
    }

    public func holdSockets(_ ids: Set<String>) async throws -> Set<String> {
        guard !ids.isEmpty else { return [] }
        let node = node.text
        return try await passSockets { db in
            guard try Self.holdNode(node, db) else { return ([], isNews: false) }
            let held = try db.execute(
                """
                UPDATE socket_subscriptions SET node = $2, waits_until = NULL
                WHERE id = ANY($1::text[]) AND (node IS NULL OR node = $2) RETURNING id
                """, ids.sorted(), node
            ).map { $0[0] as String }
            return (Set(held), isNews: !held.isEmpty)
        }
    }

    public func expireSockets(window: Int64) async throws -> [String] {
        try await passSockets { db in
            try db.execute(
                """
                UPDATE socket_subscriptions SET waits_until = \(Self.clock) + $1
                WHERE node IS NULL AND waits_until IS NULL
                """, window)
            let ended = try db.execute(
                "DELETE FROM socket_subscriptions WHERE node IS NULL AND waits_until <= \(Self.clock) RETURNING id"
            ).map { $0[0] as String }
            return (ended, isNews: !ended.isEmpty)
        }
    }

    /// Frees what nodes have that are gone, in the transaction that forgets them, while their levels are still known.
    ///
    /// Others are told, by the count that all changes share: to be called behind whatever else waits for a lock.
    static func freeSockets(of nodes: [String], _ db: PostgresConnection) throws {
        let count = try db.execute(
            """
            UPDATE socket_subscriptions SET node = NULL, waits_until = NULL, wanted_at = NULL, position = \(socketPosition)
            WHERE node = ANY($1::text[])
            """, nodes
        ).affected
        if count > 0 { _ = try NewsChannel.Subject.sockets.count(db) }
    }

    /// One transaction that changes whose subscriptions are, and tells the others of it when there is something to tell.
    ///
    /// - Parameter isSynced: to disk. Passing them between nodes isn't: at each restart of a node all its sockets come to the
    ///   others at once, and what a database loses that crashes at that very moment, nodes find to differ from what they have.
    func passSockets<T: Sendable>(
        isSynced: Bool = false, _ body: @escaping @Sendable (PostgresConnection) throws -> (T, isNews: Bool)
    ) async throws -> T {
        let (value, count): (T, Int64?) = try await write { db in
            if !isSynced { try db.script("SET LOCAL synchronous_commit = off") }
            let (value, isNews) = try body(db)
            return (value, isNews ? try NewsChannel.Subject.sockets.count(db) : nil)
        }
        if let count { channel.told(.sockets, count) }
        return value
    }

    /// Whether this node passes for living; it isn't forgotten before the transaction ends. What a node took that is forgotten
    /// would never be freed.
    private static func holdNode(_ node: String, _ db: PostgresConnection) throws -> Bool {
        try !db.execute("SELECT 1 FROM nodes WHERE id = $1 FOR KEY SHARE", node).isEmpty
    }

    /// Milliseconds since a node's last beat; nil for one that is gone.
    private static func silence(of node: String, at now: Int64, _ db: PostgresConnection) throws -> Int64? {
        try db.execute("SELECT $2 - seen_at FROM nodes WHERE id = $1", node, now).first?[0]
    }
}

/// A subscription that is claimed, held against all others until the transaction ends.
private struct SocketRow {
    enum Fate {
        case mine
        /// It was asked for at this time.
        case another(asked: Int64)
        case kept
        case over
    }

    let socket: StoredSocket
    let node: String?
    let waitsUntil: Int64?
    let keptAt: Int64?
    let now: Int64

    static func lock(_ id: String, _ db: PostgresConnection) throws -> SocketRow? {
        try db.execute(
            """
            SELECT \(PostgresStore.socketColumns), node, waits_until, kept_at, \(PostgresStore.clock)
            FROM socket_subscriptions WHERE id = $1 FOR UPDATE
            """, id
        ).first.map { row in
            SocketRow(socket: try StoredSocket(row), node: row[9], waitsUntil: row[10], keptAt: row[11], now: row[12])
        }
    }

    /// - Parameter silence: since the last beat of the node that has it; nil when that is gone, or the one that claims.
    func fate(asked: Int64?, silence: Int64?) -> Fate {
        guard node != nil else { return waitsUntil ?? .max > now ? .mine : .over }
        guard let silence else { return .mine }
        guard let asked else { return .another(asked: now) }
        if let keptAt, keptAt >= asked { return .kept }
        let isSilent = silence >= SharedSockets.patience && now - asked >= SharedSockets.patience
        return isSilent ? .mine : .another(asked: asked)
    }
}
