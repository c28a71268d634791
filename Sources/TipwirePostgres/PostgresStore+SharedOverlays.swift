import NIOCore
import TipwireCore
import TipwireStore

extension PostgresStore: SharedOverlayStore {
    public func keepPresences(_ changes: [OverlayPlace: Timestamp?]) async throws {
        let node = node.text
        let here = changes.compactMap { place, since in since.map { (place, $0) } }
        let gone = changes.filter { $0.value == nil }.map(\.key)
        try await show { db in
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

    /// A transaction for each of the three: none has what another node waits for while it asks for more.
    public func settle(_ errands: AlertErrands) async throws -> [Alert: AlertLease] {
        let node = node.text
        if !errands.shown.isEmpty { try await show { try Self.keepShown(errands.shown, node, $0) } }
        if !errands.freed.isEmpty {
            let holders = errands.freed.map { Self.holder($0, node) }
            try await show { db in
                _ = try db.execute(
                    "DELETE FROM alert_leases WHERE holder = ANY($1::text[]) AND NOT is_shown", holders)
            }
        }
        guard !errands.claims.isEmpty else { return [:] }
        return try await show { try Self.lend(errands.claims, node, $0) }
    }

    private static func holder(_ number: Int, _ node: String) -> String { "\(node)/\(number)" }

    private static func keepShown(_ shown: [Alert: Int], _ node: String, _ db: PostgresConnection) throws {
        let shown = Array(shown)
        try db.execute(
            """
            INSERT INTO alert_leases (page_id, sequence, holder, until, is_shown)
            SELECT page_id, sequence, holder, \(clock), true
            FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS shown (page_id, sequence, holder)
            ORDER BY page_id, sequence
            ON CONFLICT (page_id, sequence) DO UPDATE
            SET is_shown = true, until = excluded.until, holder = excluded.holder
            """, shown.map(\.key.page.rawValue), shown.map(\.key.sequence), shown.map { holder($0.value, node) })
    }

    private static func lend(
        _ claims: [Alert: Int], _ node: String, _ db: PostgresConnection
    ) throws -> [Alert: AlertLease] {
        let claims = Array(claims)
        let (pages, sequences) = (claims.map(\.key.page.rawValue), claims.map(\.key.sequence))
        let lent = try db.execute(
            """
            INSERT INTO alert_leases (page_id, sequence, holder, until, is_shown)
            SELECT page_id, sequence, holder, \(clock) + \(AlertTimes.lease), false
            FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS claim (page_id, sequence, holder)
            ORDER BY page_id, sequence
            ON CONFLICT (page_id, sequence) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE alert_leases.holder = excluded.holder
                OR (NOT alert_leases.is_shown AND alert_leases.until <= \(clock))
            RETURNING page_id, sequence
            """, pages, sequences, claims.map { holder($0.value, node) }
        ).map { Alert(page: Page.ID(rawValue: $0[0]), sequence: $0[1]) }
        let shown = try db.execute(
            """
            SELECT alert_leases.page_id, alert_leases.sequence FROM alert_leases
            JOIN unnest($1::bigint[], $2::bigint[]) AS claim (page_id, sequence)
                ON alert_leases.page_id = claim.page_id AND alert_leases.sequence = claim.sequence
            WHERE is_shown
            """, pages, sequences
        ).map { Alert(page: Page.ID(rawValue: $0[0]), sequence: $0[1]) }
        var leases = Dictionary(uniqueKeysWithValues: claims.map { ($0.key, AlertLease.held) })
        for alert in shown { leases[alert] = .shown }
        for alert in lent { leases[alert] = .granted }
        try db.execute("DELETE FROM alert_leases WHERE until < \(clock) - \(AlertTimes.memory)")
        return leases
    }

    public func announce(_ announcement: OverlayAnnouncement) async throws {
        let node = node.text
        let count = try await show { db in
            if let sequence = announcement.reopens {
                try db.execute(
                    "DELETE FROM alert_leases WHERE page_id = $1 AND sequence = $2",
                    announcement.page.rawValue, sequence)
            }
            try db.execute(
                "DELETE FROM overlay_announcements WHERE said_at < \(Self.clock) - \(AlertTimes.announcement)")
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
}
