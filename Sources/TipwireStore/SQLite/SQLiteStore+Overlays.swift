import GRDB
public import TipwireCore

extension SQLiteStore {
    public func overlayView(page: Page.ID, tips: Int) async throws -> OverlayView {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT \(TipRow.columns) FROM tips WHERE page_id = ? AND refunded_at IS NULL
                    ORDER BY last_sequence DESC LIMIT ?
                    """)
            return OverlayView(
                goals: try GoalRows.current.read(db, page: page),
                recent: try Row.fetchAll(statement, arguments: [page.rawValue, tips]).map { try TipRow($0).tip },
                bounds: try LogRow.read(db).bounds)
        }
    }

    public func keep(_ reports: OverlayReports) async throws {
        try await write { db in
            for (place, sighting) in reports.sightings { try Self.keep(sighting, of: place, db) }
            for (subject, report) in reports.receipts { try Self.keep(report, about: subject, db) }
            for page in Set(reports.sightings.keys.map(\.page)) { try Self.forgetOldScreens(of: page, db) }
        }
    }

    private static func keep(_ sighting: OverlayReports.Sighting, of place: OverlayPlace, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO screens (page_id, screen, kind, key_id, last_seen_at)
                SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM pages WHERE id = ?1)
                ON CONFLICT DO UPDATE SET key_id = ?4, last_seen_at = max(last_seen_at, ?5)
                """
        ).execute(arguments: [
            place.page.rawValue, place.screen.text, place.kind.rawValue, sighting.key, sighting.seenAt.milliseconds,
        ])
    }

    private static func keep(
        _ report: OverlayReports.Report, about subject: OverlayReports.Subject, _ db: Database
    ) throws {
        let place = subject.place
        try db.cachedStatement(
            sql: """
                INSERT INTO receipts (page_id, tip_id, screen, kind, sequence, received_at, shown_at)
                SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM tips WHERE page_id = ?1 AND id = ?2)
                    AND ((SELECT count(*) FROM receipts WHERE page_id = ?1 AND tip_id = ?2) < \(Limits.receipts)
                        OR EXISTS (SELECT 1 FROM receipts
                            WHERE page_id = ?1 AND tip_id = ?2 AND screen = ?3 AND kind = ?4))
                ON CONFLICT DO UPDATE SET sequence = max(sequence, ?5), shown_at = coalesce(?7, shown_at)
                """
        ).execute(arguments: [
            place.page.rawValue, subject.tip.text, place.screen.text, place.kind.rawValue, report.sequence,
            report.receivedAt.milliseconds, report.shownAt?.milliseconds,
        ])
        guard let shownAt = report.shownAt else { return }
        try db.cachedStatement(
            sql: """
                UPDATE screens SET last_shown_at = max(coalesce(last_shown_at, 0), ?)
                WHERE page_id = ? AND screen = ? AND kind = ?
                """
        ).execute(arguments: [
            shownAt.milliseconds, place.page.rawValue, place.screen.text, place.kind.rawValue,
        ])
    }

    private static func forgetOldScreens(of page: Page.ID, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                DELETE FROM screens WHERE page_id = ?1 AND (screen, kind) NOT IN (
                    SELECT screen, kind FROM screens WHERE page_id = ?1 ORDER BY last_seen_at DESC LIMIT ?2)
                """
        ).execute(arguments: [page.rawValue, Limits.screens])
    }

    public func receipts(page: Page.ID, tips: [TipIdentifier]) async throws -> [TipIdentifier: [Receipt]] {
        try await read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT screen, kind, received_at, shown_at FROM receipts WHERE page_id = ? AND tip_id = ?
                    ORDER BY screen, kind
                    """)
            return try tips.reduce(into: [:]) { found, tip in
                let receipts = try Row.fetchAll(statement, arguments: [page.rawValue, tip.text]).map { row in
                    Receipt(
                        kind: try overlayKind(row[1], table: "receipts"),
                        screen: try screenName(row[0], table: "receipts"),
                        receivedAt: Timestamp(milliseconds: row[2]), shownAt: row.time(3))
                }
                if !receipts.isEmpty { found[tip] = receipts }
            }
        }
    }

    public func shownSequences(page: Page.ID, since time: Timestamp) async throws -> Set<Int64> {
        try await read { db in
            try Int64.fetchSet(
                db,
                sql: """
                    SELECT sequence FROM receipts WHERE page_id = ? AND shown_at >= ?
                    ORDER BY shown_at DESC LIMIT \(Limits.listRows.upperBound)
                    """,
                arguments: [page.rawValue, time.milliseconds])
        }
    }

    public func screens(page: Page.ID) async throws -> [StoredScreen] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT screen, kind, keys.id, last_seen_at, last_shown_at
                    FROM screens LEFT JOIN keys ON keys.id = key_id WHERE page_id = ? ORDER BY screen, kind
                    """,
                arguments: [page.rawValue]
            ).map { row in
                let place = OverlayPlace(
                    page: page, kind: try overlayKind(row[1], table: "screens"),
                    screen: try screenName(row[0], table: "screens"))
                return StoredScreen(
                    place: place, key: row[2], lastSeenAt: Timestamp(milliseconds: row[3]), lastShownAt: row.time(4))
            }
        }
    }

    public func deleteScreen(_ place: OverlayPlace) async throws {
        try await write { db in
            try db.execute(
                sql: "DELETE FROM screens WHERE page_id = ? AND screen = ? AND kind = ?",
                arguments: [place.page.rawValue, place.screen.text, place.kind.rawValue])
        }
    }
}

private func overlayKind(_ text: String, table: String) throws -> OverlayKind {
    guard let kind = OverlayKind(rawValue: text) else { throw DamagedRow(table: table, problem: "bad kind") }
    return kind
}

private func screenName(_ text: String, table: String) throws -> ScreenName {
    guard let name = ScreenName(text) else { throw DamagedRow(table: table, problem: "bad name of a screen") }
    return name
}
