import NIOCore
import TipwireCore
import TipwireStore

extension PostgresStore: SharedOverlayStore {
    /// Held while alerts are lent: nodes lend the same ones in any order, and must not wait for each other in a circle.
    private static let lending: Int64 = 0x616c_6572_7473

    public func keepPresences(_ changes: [OverlayPlace: Timestamp?]) async throws {
        let node = node.text
        let here = changes.compactMap { place, since in since.map { (place, $0) } }
        let gone = changes.filter { $0.value == nil }.map(\.key)
        try await unsynced { db in
            if !gone.isEmpty {
                try db.execute(
                    """
                    DELETE FROM overlay_presences USING unnest($1::bigint[], $2::text[], $3::text[]) AS gone (page_id, screen, kind)
                    WHERE overlay_presences.page_id = gone.page_id AND overlay_presences.screen = gone.screen
                        AND overlay_presences.kind = gone.kind AND node = $4
                    """, gone.map(\.page.rawValue), gone.map(\.screen.text), gone.map(\.kind.rawValue), node)
            }
            if !here.isEmpty {
                // For a node that passes for living: what another has now it tells again when it returns.
                try db.execute(
                    """
                    INSERT INTO overlay_presences (node, page_id, screen, kind, since)
                    SELECT nodes.id, here.page_id, here.screen, here.kind, here.since
                    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS here (page_id, screen, kind, since)
                    JOIN nodes ON nodes.id = $5
                    ON CONFLICT (page_id, screen, kind, node) DO UPDATE SET since = excluded.since
                    """,
                    here.map(\.0.page.rawValue), here.map(\.0.screen.text), here.map(\.0.kind.rawValue),
                    here.map(\.1.milliseconds), node)
            }
        }
    }

    public func presencesElsewhere(page: Page.ID) async throws -> [OverlayPlace: Timestamp] {
        let node = node.text
        return try await read { db in
            let rows = try db.execute(
                """
                SELECT screen, kind, min(since) FROM overlay_presences WHERE page_id = $1 AND node <> $2
                GROUP BY screen, kind
                """, page.rawValue, node)
            return try rows.reduce(into: [:]) { found, row in
                let place = try OverlayPlace(page: page, kind: row[1], screen: row[0], table: "overlay_presences")
                found[place] = Timestamp(milliseconds: row[2])
            }
        }
    }

    public func settle(_ errands: AlertErrands) async throws -> [Alert: AlertLease] {
        guard !errands.isEmpty else { return [:] }
        let node = node.text
        return try await unsynced { db in
            try db.execute("SELECT pg_advisory_xact_lock($1)", Self.lending)
            try Self.keepShown(Array(errands.shown), node, db)
            try Self.free(Array(errands.freed), node, db)
            try db.execute("DELETE FROM alert_leases WHERE until < \(Self.clock) - \(SharedAlerts.memory)")
            return try Self.lend(Array(errands.claims), node, db)
        }
    }

    private static func keepShown(_ shown: [Alert], _ node: String, _ db: PostgresConnection) throws {
        guard !shown.isEmpty else { return }
        try db.execute(
            """
            INSERT INTO alert_leases (page_id, sequence, node, until, is_shown)
            SELECT page_id, sequence, $3, \(clock), true
            FROM unnest($1::bigint[], $2::bigint[]) AS shown (page_id, sequence)
            ON CONFLICT (page_id, sequence) DO UPDATE SET is_shown = true, until = excluded.until
            """, shown.map(\.page.rawValue), shown.map(\.sequence), node)
    }

    private static func free(_ freed: [Alert], _ node: String, _ db: PostgresConnection) throws {
        guard !freed.isEmpty else { return }
        try db.execute(
            """
            DELETE FROM alert_leases USING unnest($1::bigint[], $2::bigint[]) AS freed (page_id, sequence)
            WHERE alert_leases.page_id = freed.page_id AND alert_leases.sequence = freed.sequence
                AND node = $3 AND NOT is_shown
            """, freed.map(\.page.rawValue), freed.map(\.sequence), node)
    }

    private static func lend(
        _ claims: [Alert], _ node: String, _ db: PostgresConnection
    ) throws -> [Alert: AlertLease] {
        guard !claims.isEmpty else { return [:] }
        let (pages, sequences) = (claims.map(\.page.rawValue), claims.map(\.sequence))
        let lent = try db.execute(
            """
            INSERT INTO alert_leases (page_id, sequence, node, until, is_shown)
            SELECT page_id, sequence, $3, \(clock) + \(SharedAlerts.lease), false
            FROM unnest($1::bigint[], $2::bigint[]) AS claim (page_id, sequence)
            ON CONFLICT (page_id, sequence) DO UPDATE SET node = excluded.node, until = excluded.until
            WHERE NOT alert_leases.is_shown
                AND (alert_leases.node = excluded.node OR alert_leases.until <= \(clock))
            RETURNING page_id, sequence
            """, pages, sequences, node
        ).map { Alert(page: Page.ID(rawValue: $0[0]), sequence: $0[1]) }
        let shown = try db.execute(
            """
            SELECT alert_leases.page_id, alert_leases.sequence FROM alert_leases
            JOIN unnest($1::bigint[], $2::bigint[]) AS claim (page_id, sequence)
                ON alert_leases.page_id = claim.page_id AND alert_leases.sequence = claim.sequence
            WHERE is_shown
            """, pages, sequences
        ).map { Alert(page: Page.ID(rawValue: $0[0]), sequence: $0[1]) }
        var leases = Dictionary(uniqueKeysWithValues: claims.map { ($0, AlertLease.held) })
        for alert in lent { leases[alert] = .granted }
        for alert in shown { leases[alert] = .shown }
        return leases
    }

    public func announce(_ announcement: OverlayAnnouncement) async throws {
        let node = node.text
        let count = try await unsynced { db in
            if let sequence = announcement.reopens {
                try db.execute(
                    "DELETE FROM alert_leases WHERE page_id = $1 AND sequence = $2",
                    announcement.page.rawValue, sequence)
            }
            try db.execute(
                "DELETE FROM overlay_announcements WHERE said_at < \(Self.clock) - \(SharedAlerts.announcement)")
            // What comes last locks all others that announce out, so that numbers come in the order of commits.
            let count = try NewsChannel.Subject.overlays.count(db)
            try db.execute(
                """
                INSERT INTO overlay_announcements (number, node, page_id, message, besides, reopens, said_at)
                VALUES ($1, $2, $3, $4, $5, $6, \(Self.clock))
                ON CONFLICT (number) DO UPDATE SET node = excluded.node, page_id = excluded.page_id,
                    message = excluded.message, besides = excluded.besides, reopens = excluded.reopens,
                    said_at = excluded.said_at
                """,
                count, node, announcement.page.rawValue, String(buffer: announcement.message),
                announcement.besides.map(\.text).joined(separator: " "), announcement.reopens)
            return count
        }
        channel.told(.overlays, count)
    }

    public func announcements(after number: Int64?) async throws -> (list: [OverlayAnnouncement], through: Int64) {
        let node = node.text
        return try await read { db in
            let through: Int64 = try db.execute("SELECT overlays FROM changes")[0][0]
            guard let number else { return ([], through) }
            let list = try db.execute(
                """
                SELECT page_id, message, besides, reopens FROM overlay_announcements
                WHERE number > $1 AND number <= $2 AND node <> $3 ORDER BY number
                """, number, through, node
            ).map { row in
                OverlayAnnouncement(
                    page: Page.ID(rawValue: row[0]), message: ByteBuffer(string: row[1]),
                    besides: Set((row[2] as String).split(separator: " ").compactMap { ScreenName(String($0)) }),
                    reopens: row[3])
            }
            return (list, through)
        }
    }

    /// What a database that crashes at this very moment may lose.
    private func unsynced<T: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection) throws -> T
    ) async throws -> T {
        try await write { db in
            try db.script("SET LOCAL synchronous_commit = off")
            return try body(db)
        }
    }
}
