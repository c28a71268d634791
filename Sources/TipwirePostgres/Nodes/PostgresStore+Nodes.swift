import TipwireCore
import TipwireStore

extension PostgresStore: NodeStore {
    /// The database's clock, in milliseconds: nodes may have clocks of their own.
    static let clock = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    private static let sending = "webhooks"

    public func listen() -> AsyncStream<StoreNews> { channel.listen() }

    public func beat(_ report: NodeReport) async throws -> NodeBeat {
        let node = node.text
        let (beat, counts) = try await tell { [channel] db in
            // Others learn of it by looking; whoever takes this node for dead because its beat was lost finds it back with
            // the next one.
            try db.script("SET LOCAL synchronous_commit = off")
            let isNew = try Self.keep(report, of: node, directory: channel.taken(.directory), db)
            try Self.forgetTheDead(besides: node, db)
            let isSender = try report.isDraining ? Self.keepSending(by: node, db) : Self.renewSending(by: node, db)
            let log = try LogRow.read(db)
            return (
                NodeBeat(bounds: log.bounds, isSender: isSender, isNew: isNew), try Self.counts(db)
            )
        }
        channel.compare(counts)
        return beat
    }

    public func leave() async throws {
        let node = node.text
        try await tell { db in
            try Self.forget([node], db)
            // It stays a row, so that whoever takes it waits for what is being kept under it.
            try db.execute("UPDATE leases SET until = 0 WHERE node = $1", node)
        }
    }

    public func nodes() async throws -> [StoredNode] {
        try await read { db in
            try db.execute(
                """
                SELECT \(Self.columns), \(Self.clock) - seen_at, lag,
                    EXISTS (SELECT 1 FROM leases WHERE name = '\(Self.sending)' AND node = id AND until > \(Self.clock))
                FROM nodes ORDER BY name, started_at, id
                """
            ).map { row in
                StoredNode(
                    id: NodeID(text: row[0]), report: NodeReport(row), silence: max(0, row[11]), lag: row[12],
                    isSender: row[13])
            }
        }
    }

    public func took(directory version: Int64) async throws {
        let node = node.text
        guard channel.took(.directory, version) else { return }
        try await tell { db in
            try db.script("SET LOCAL synchronous_commit = off")
            try db.execute("UPDATE nodes SET directory = $2 WHERE id = $1 AND directory < $2", node, version)
        }
    }

    public func waitForOthers() async {
        let node = node.text
        let end = ContinuousClock.now + .milliseconds(NodeTimes.patience)
        guard let change = channel.lastOwn(.directory) else { return }
        while ContinuousClock.now < end {
            // When the store fails nobody would be any the wiser for an error: the change itself is kept.
            let isTaken = try? await read { db -> Bool in
                try db.execute(
                    """
                    SELECT NOT EXISTS (
                        SELECT 1 FROM nodes
                        WHERE id <> $1 AND seen_at > \(Self.clock) - \(NodeTimes.silent) AND directory < $2)
                    """, node, change)[0][0]
            }
            guard isTaken == false, (try? await Task.sleep(for: .milliseconds(3))) != nil else { return }
        }
    }

    public func adoptLog() async throws -> LogBounds {
        try await read { [memory] db in
            let log = try LogRow.read(db)
            memory.adopt(log)
            return log.bounds
        }
    }
}

extension PostgresStore {
    private static let columns =
        "id, name, version, url, started_at, is_draining, feed, sse, eventsub, overlay, relayed"

    /// - Returns: whether nothing was known of the node.
    private static func keep(
        _ report: NodeReport, of node: String, directory: Int64, _ db: PostgresConnection
    ) throws -> Bool {
        try db.execute(
            """
            INSERT INTO nodes (\(columns), lag, directory, seen_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, greatest(0, (SELECT head FROM log) - $11), $12, \(clock))
            ON CONFLICT (id) DO UPDATE SET is_draining = excluded.is_draining, feed = excluded.feed,
                sse = excluded.sse, eventsub = excluded.eventsub, overlay = excluded.overlay,
                relayed = excluded.relayed, lag = excluded.lag, directory = excluded.directory, seen_at = excluded.seen_at
            RETURNING xmax = 0
            """,
            node, report.name, report.version, report.url, report.startedAt.milliseconds, report.isDraining,
            Int64(report.feed), Int64(report.sse), Int64(report.eventsub), Int64(report.overlay), report.relayed,
            directory)[0][0]
    }

    private static func forgetTheDead(besides node: String, _ db: PostgresConnection) throws {
        let dead = try db.execute(
            """
            SELECT id FROM nodes WHERE id <> $1 AND seen_at < \(clock) - \(NodeTimes.dead)
            ORDER BY id FOR UPDATE SKIP LOCKED
            """, node
        ).map { $0[0] as String }
        if !dead.isEmpty { try forget(dead, db) }
    }

    private static func forget(_ nodes: [String], _ db: PostgresConnection) throws {
        // First, while their levels are known.
        try freeSockets(of: nodes, db)
        try db.execute("DELETE FROM nodes WHERE id = ANY($1::text[])", nodes)
    }

    /// A node that is dead keeps it to its end: it may only be cut off, and still be at what it has begun.
    private static func renewSending(by node: String, _ db: PostgresConnection) throws -> Bool {
        try !db.execute(
            """
            INSERT INTO leases (name, node, until) VALUES ('\(sending)', $1, \(clock) + \(NodeTimes.sendingLease))
            ON CONFLICT (name) DO UPDATE SET node = excluded.node, until = excluded.until
            WHERE leases.node = excluded.node OR leases.until <= \(clock)
            RETURNING node
            """, node
        ).isEmpty
    }

    /// Whoever is about to end takes nothing over any more, and keeps what it has until it leaves: what it has begun by then is
    /// under way for a while.
    private static func keepSending(by node: String, _ db: PostgresConnection) throws -> Bool {
        try !db.execute(
            """
            UPDATE leases SET until = \(clock) + \(NodeTimes.sendingLease)
            WHERE name = '\(sending)' AND node = $1 AND until > \(clock) RETURNING node
            """, node
        ).isEmpty
    }

    private static func counts(_ db: PostgresConnection) throws -> [NewsChannel.Subject: Int64] {
        let subjects = NewsChannel.Subject.allCases
        let rows = try db.execute("SELECT \(subjects.map(\.rawValue).joined(separator: ", ")) FROM changes")
        guard let row = rows.first else { throw NewsChannel.damaged }
        return Dictionary(uniqueKeysWithValues: subjects.enumerated().map { ($1, row[$0]) })
    }
}

extension NodeReport {
    fileprivate init(_ row: PostgresRow) {
        self.init(name: row[1], version: row[2], url: row[3], startedAt: Timestamp(milliseconds: row[4]))
        isDraining = row[5]
        feed = Int(row[6] as Int64)
        sse = Int(row[7] as Int64)
        eventsub = Int(row[8] as Int64)
        overlay = Int(row[9] as Int64)
        relayed = row[10]
    }
}
