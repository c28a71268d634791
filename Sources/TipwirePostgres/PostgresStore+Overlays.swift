import TipwireCore
import TipwireStore

extension PostgresStore: OverlayStore {
    public func overlayView(page: Page.ID, tips: Int) async throws -> OverlayView {
        try await read { db in
            let recent = try db.execute(
                """
                SELECT \(TipRow.columns) FROM tips WHERE page_id = $1 AND refunded_at IS NULL
                ORDER BY last_sequence DESC LIMIT $2
                """, page.rawValue, tips)
            return OverlayView(
                goals: try GoalRows.current.read(db, page: page), recent: try recent.map { try TipRow($0).tip },
                bounds: try LogRow.read(db).bounds)
        }
    }

    public func keep(_ reports: OverlayReports) async throws {
        guard !reports.isEmpty else { return }
        try await write { db in
            let subjects = reports.receipts.keys.map(\.place.page)
            // Whatever is kept of a page's screens and counted against their limits, one node does at a time. Foreign keys
            // lock the page too, and don't wait for this. In the order of their numbers, so that nobody waits in a circle.
            let rows = try db.execute(
                "SELECT id FROM pages WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE",
                Set(reports.sightings.keys.map(\.page) + subjects).map(\.rawValue))
            let pages = Set(rows.map { Page.ID(rawValue: $0[0]) })
            let receipts = reports.receipts.filter { pages.contains($0.key.place.page) }
            let sightings = reports.sightings.filter { pages.contains($0.key.page) }
            try Self.keep(Array(sightings), db)
            try Self.keep(Array(receipts), db)
            try Self.keepShown(receipts, db)
            try Self.forgetOldScreens(of: Set(sightings.keys.map(\.page)), db)
        }
    }

    private static func keep(
        _ sightings: [(key: OverlayPlace, value: OverlayReports.Sighting)], _ db: PostgresConnection
    ) throws {
        guard !sightings.isEmpty else { return }
        try db.execute(
            """
            INSERT INTO screens (page_id, screen, kind, key_id, last_seen_at)
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
            ON CONFLICT (page_id, screen, kind) DO UPDATE
            SET key_id = excluded.key_id, last_seen_at = greatest(screens.last_seen_at, excluded.last_seen_at)
            """,
            sightings.map(\.key.page.rawValue), sightings.map(\.key.screen.text), sightings.map(\.key.kind.rawValue),
            PostgresValue.texts(sightings.map(\.value.key)), sightings.map(\.value.seenAt.milliseconds))
    }

    private static func keep(
        _ receipts: [(key: OverlayReports.Subject, value: OverlayReports.Report)], _ db: PostgresConnection
    ) throws {
        guard !receipts.isEmpty else { return }
        // A tip's known receipts are always renewed; of the new ones as many are kept as its limit leaves room for.
        try db.execute(
            """
            WITH report AS (
                SELECT new.*, old.page_id IS NOT NULL AS is_known
                FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
                    AS new (page_id, tip_id, screen, kind, sequence, received_at, shown_at)
                JOIN tips ON tips.page_id = new.page_id AND tips.id = new.tip_id
                LEFT JOIN receipts old ON old.page_id = new.page_id AND old.tip_id = new.tip_id
                    AND old.screen = new.screen AND old.kind = new.kind
            ), placed AS (
                SELECT report.*, row_number() OVER (PARTITION BY page_id, tip_id, is_known ORDER BY screen, kind) + (
                    SELECT count(*) FROM receipts old
                    WHERE old.page_id = report.page_id AND old.tip_id = report.tip_id
                ) AS place
                FROM report
            )
            INSERT INTO receipts (page_id, tip_id, screen, kind, sequence, received_at, shown_at)
            SELECT page_id, tip_id, screen, kind, sequence, received_at, shown_at FROM placed
            WHERE is_known OR place <= \(Limits.receipts)
            ON CONFLICT (page_id, tip_id, screen, kind) DO UPDATE
            SET sequence = greatest(receipts.sequence, excluded.sequence),
                shown_at = coalesce(excluded.shown_at, receipts.shown_at)
            """,
            receipts.map(\.key.place.page.rawValue), receipts.map(\.key.tip.text),
            receipts.map(\.key.place.screen.text), receipts.map(\.key.place.kind.rawValue),
            receipts.map(\.value.sequence), receipts.map(\.value.receivedAt.milliseconds),
            PostgresValue.ints(receipts.map(\.value.shownAt?.milliseconds)))
    }

    /// Keeps with each screen when it last showed anything.
    private static func keepShown(
        _ receipts: [OverlayReports.Subject: OverlayReports.Report], _ db: PostgresConnection
    ) throws {
        var latest: [OverlayPlace: Timestamp] = [:]
        for (subject, report) in receipts {
            guard let shownAt = report.shownAt else { continue }
            latest[subject.place] = max(latest[subject.place] ?? shownAt, shownAt)
        }
        guard !latest.isEmpty else { return }
        let shown = Array(latest)
        try db.execute(
            """
            UPDATE screens SET last_shown_at = greatest(screens.last_shown_at, shown.at)
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS shown (page_id, screen, kind, at)
            WHERE screens.page_id = shown.page_id AND screens.screen = shown.screen AND screens.kind = shown.kind
            """,
            shown.map(\.key.page.rawValue), shown.map(\.key.screen.text), shown.map(\.key.kind.rawValue),
            shown.map(\.value.milliseconds))
    }

    private static func forgetOldScreens(of pages: Set<Page.ID>, _ db: PostgresConnection) throws {
        guard !pages.isEmpty else { return }
        try db.execute(
            """
            DELETE FROM screens USING (
                SELECT page_id, screen, kind, row_number() OVER (
                    PARTITION BY page_id ORDER BY last_seen_at DESC, screen, kind) AS place
                FROM screens WHERE page_id = ANY($1::bigint[])
            ) AS listed
            WHERE screens.page_id = listed.page_id AND screens.screen = listed.screen AND screens.kind = listed.kind
                AND listed.place > \(Limits.screens)
            """, pages.map(\.rawValue))
    }

    public func receipts(page: Page.ID, tips: [TipIdentifier]) async throws -> [TipIdentifier: [Receipt]] {
        try await read { db in
            let rows = try db.execute(
                """
                SELECT tip_id, screen, kind, received_at, shown_at FROM receipts
                WHERE page_id = $1 AND tip_id = ANY($2::text[]) ORDER BY tip_id, screen, kind
                """, page.rawValue, tips.map(\.text))
            return try rows.reduce(into: [:]) { found, row in
                guard let tip = TipIdentifier(row[0]) else { throw DamagedRow(table: "receipts", problem: "bad id") }
                let place = try OverlayPlace(page: page, kind: row[2], screen: row[1], table: "receipts")
                found[tip, default: []].append(
                    Receipt(
                        kind: place.kind, screen: place.screen, receivedAt: Timestamp(milliseconds: row[3]),
                        shownAt: row.time(4)))
            }
        }
    }

    public func shownSequences(page: Page.ID, since time: Timestamp) async throws -> Set<Int64> {
        try await read { db in
            let rows = try db.execute(
                """
                SELECT sequence FROM receipts WHERE page_id = $1 AND shown_at >= $2
                ORDER BY shown_at DESC LIMIT \(Limits.listRows.upperBound)
                """, page.rawValue, time.milliseconds)
            return Set(rows.map { $0[0] })
        }
    }

    public func screens(page: Page.ID) async throws -> [StoredScreen] {
        try await read { db in
            try db.execute(
                """
                SELECT screen, kind, keys.id, last_seen_at, last_shown_at
                FROM screens LEFT JOIN keys ON keys.id = key_id WHERE page_id = $1 ORDER BY screen, kind
                """, page.rawValue
            ).map { row in
                let place = try OverlayPlace(page: page, kind: row[1], screen: row[0], table: "screens")
                return StoredScreen(
                    place: place, key: row[2], lastSeenAt: Timestamp(milliseconds: row[3]), lastShownAt: row.time(4))
            }
        }
    }

    public func deleteScreen(_ place: OverlayPlace) async throws {
        try await write { db in
            _ = try db.execute(
                "DELETE FROM screens WHERE page_id = $1 AND screen = $2 AND kind = $3",
                place.page.rawValue, place.screen.text, place.kind.rawValue)
        }
    }
}

extension OverlayPlace {
    /// As a row has it.
    init(page: Page.ID, kind: String, screen: String, table: String) throws {
        guard let kind = OverlayKind(rawValue: kind) else { throw DamagedRow(table: table, problem: "bad kind") }
        guard let screen = ScreenName(screen) else { throw DamagedRow(table: table, problem: "bad name of a screen") }
        self.init(page: page, kind: kind, screen: screen)
    }
}
