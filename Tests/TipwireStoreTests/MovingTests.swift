import Foundation
import GRDB
import NIOCore
import Testing
import TipwireCore

@testable import TipwirePostgres
@testable import TipwireStore

/// From a file to PostgreSQL: everything, or nothing.
@Suite(.enabled(if: StoreKind.postgres != nil, "TIPWIRE_TEST_POSTGRES names no server"))
struct MovingTests {
    private let server: PostgresServer

    init() throws { server = try #require(PostgresServer.given) }

    private struct Place {
        let file: String
        let scene: Scene
        let name: String
        let url: String
    }

    /// A file with a row in every table, and a database for it.
    private func withPlace(_ body: (Place) async throws -> Void) async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("tipwire.db").path
            let store = try SQLiteStore.open(at: file)
            let name = folder.lastPathComponent
            do {
                let scene = try await Scene.rich(store)
                try await body(Place(file: file, scene: scene, name: name, url: try server.database(name)))
                try await store.close()
            } catch {
                try? await store.close()
                throw error
            }
        }
    }

    private func move(_ place: Place) async throws -> MovedStore {
        let store = try await PostgresStore.openAlone(place.url)
        do {
            let moved = try await store.move(from: place.file)
            try await store.close()
            return moved
        } catch {
            try? await store.close()
            throw error
        }
    }

    private func refusal(_ place: Place) async -> String {
        do {
            _ = try await move(place)
            return "it was moved"
        } catch {
            return "\(error is MovingRefusal ? "" : "no MovingRefusal: ")\(error)"
        }
    }

    private func expectRefusal(
        of place: Place, saying text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let told = await refusal(place)
        #expect(told.contains(text), "\(told)", sourceLocation: sourceLocation)
    }

    // MARK: The list

    @Test func `the list has every table and every column of both`() async throws {
        try await withPlace { place in
            let listed = Set(StoredTable.all.flatMap { table in table.columns.map { "\(table.name).\($0.name)" } })
            let inFile = try SQLiteStore.reading(place.file) { db in
                try String.fetchAll(
                    db,
                    sql: """
                        SELECT m.name || '.' || c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
                        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'grdb_migrations'
                        """)
            }
            #expect(listed == Set(inFile))
            try await PostgresStore.open(place.url).close()
            let text = try server.run(
                place.name,
                """
                SELECT table_name || '.' || column_name FROM information_schema.columns
                WHERE table_schema = 'tipwire'
                    AND table_name NOT IN ('migrations', 'batches', 'nodes', 'changes', 'leases')
                    AND table_name NOT IN ('overlay_presences', 'alert_leases', 'overlay_announcements')
                    AND (table_name <> 'socket_subscriptions'
                        OR column_name NOT IN ('node', 'waits_until', 'wanted_at', 'kept_at'))
                """)
            #expect(listed == Set(text.split(separator: "\n").map(String.init)))
        }
    }

    // MARK: Everything

    @Test func `every question is answered as before`() async throws {
        try await withPlace { place in
            let moved = try await move(place)
            #expect(moved.tables.allSatisfy { $0.rows > 0 }, "a table without a row proves nothing: \(moved.tables)")
            #expect(!moved.isRepeated)
            let store = try await PostgresStore.open(place.url)
            let before = try await place.scene.everything(place.scene.store)
            let after = try await place.scene.everything(store)
            #expect(before.count == after.count)
            for (one, other) in zip(before, after) { #expect(one == other) }
            #expect(try await PostgresStore.examine(place.url).audit.problems == [])
            try await store.close()
        }
    }

    @Test func `what comes next is numbered as if nothing had happened`() async throws {
        try await withPlace { place in
            let scene = place.scene
            // Numbers that were given out, and whose rows are gone.
            let gone = try await scene.store.createPage(.named("gone", owner: scene.account))
            try await scene.store.deletePage(gone.id)
            let webhook = try await scene.makeWebhook("gone")
            try await scene.store.deleteWebhook(webhook)
            _ = try await move(place)
            let store = try await PostgresStore.open(place.url)
            let page = try await store.createPage(.named("next", owner: scene.account))
            #expect(page.id.rawValue == gone.id.rawValue + 1)
            let next = try await store.createWebhook(
                scene.subscription("next"), callback: "https://bot.example", secret: StoredSecret("whsec_n"),
                position: 0)
            #expect(next.rawValue == webhook.rawValue + 1)
            let head = try await store.bounds().head
            // An idempotency key from before is known, and a new tip stands behind the last.
            let again = try await store.commit(
                [
                    .receive(page: scene.page.id, drafts: [draft(id: "keyed")], idempotencyKey: TipIdentifier("idem")!),
                    scene.tip(draft(id: "new")),
                ], at: .seconds(100))
            #expect(try again.results[0].get()[0].isRepeat)
            #expect(try again.results[1].get()[0].lastSequence > head)
            try await store.close()
        }
    }

    // MARK: Again

    @Test func `it can be repeated, and takes what has come meanwhile`() async throws {
        try await withPlace { place in
            _ = try await move(place)
            _ = try await place.scene.receive([draft(id: "later")], at: .seconds(200))
            let moved = try await move(place)
            #expect(moved.isRepeated)
            let store = try await PostgresStore.open(place.url)
            let bounds = try await store.bounds()
            #expect(try await place.scene.store.bounds() == bounds)
            #expect(try await store.tip(page: place.scene.page.id, id: TipIdentifier("later")!) != nil)
            try await store.close()
        }
    }

    @Test func `what a server has written to the copy isn't undone`() async throws {
        try await withPlace { place in
            _ = try await move(place)
            let store = try await PostgresStore.open(place.url)
            _ = try await store.commit([place.scene.tip(draft(id: "there"))], at: .seconds(300))
            try await store.close()
            await expectRefusal(of: place, saying: "a server has written to the PostgreSQL database")
            let again = try await PostgresStore.open(place.url)
            #expect(try await again.tip(page: place.scene.page.id, id: TipIdentifier("there")!) != nil)
            try await again.close()
        }
    }

    @Test func `nor what was only made there`() async throws {
        try await withPlace { place in
            _ = try await move(place)
            let store = try await PostgresStore.open(place.url)
            let late = KeyRecord(
                id: "late", prefix: "tw_00000000", hash: SecretHash(of: "late"), name: "late",
                account: place.scene.account.id, scopes: [.admin], pages: nil, createdAt: .seconds(300), expiresAt: nil)
            try await store.createKey(late)
            try await store.close()
            await expectRefusal(of: place, saying: "a server has written to the PostgreSQL database")
        }
    }

    // MARK: Nothing

    @Test func `another Tipwire's database is left alone`() async throws {
        try await withPlace { place in
            let store = try await PostgresStore.open(place.url)
            let other = try await Scene(store)
            try await store.close()
            await expectRefusal(of: place, saying: "already holds pages or events of another Tipwire")
            let kept = try await PostgresStore.open(place.url)
            #expect(try await kept.directory().pages.map(\.id) == [other.page.id, other.other.id])
            try await kept.close()
        }
    }

    @Test func `a database that a server is on is refused`() async throws {
        try await withPlace { place in
            let store = try await PostgresStore.open(place.url)
            await expectRefusal(of: place, saying: "in use by a server")
            try await store.close()
        }
    }

    @Test(arguments: [
        ("tips", "NEW.fee = NEW.fee - 1", "fees of tips"), ("goals", "NEW.progress = 0", "progress of goals"),
        ("events", "NEW.data = NEW.data || ' '", "characters of events"),
        ("members", "NEW = NULL", "rows of 'members'"),
    ])
    func `a copy that differs is undone as a whole`(table: String, change: String, measure: String) async throws {
        try await withPlace { place in
            try await PostgresStore.open(place.url).close()
            try server.run(
                place.name,
                """
                CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \(change); RETURN NEW; END$$;
                CREATE TRIGGER spoil BEFORE INSERT ON tipwire.\(table) FOR EACH ROW EXECUTE FUNCTION spoil()
                """)
            let text = await refusal(place)
            #expect(text.contains("the copy differs") && text.contains(measure), "\(text)")
            let counts = StoredTable.all.map { "(SELECT count(*) FROM tipwire.\($0.name))" }.joined(separator: " + ")
            // The rows that a new schema comes with.
            #expect(try server.run(place.name, "SELECT \(counts)") == "3")
            try server.run(place.name, "DROP TRIGGER spoil ON tipwire.\(table)")
            #expect(try await move(place).isRepeated == false)
        }
    }

    @Test func `rows that PostgreSQL refuses are told by their table`() async throws {
        try await withPlace { place in
            try await (place.scene.store as? SQLiteStore)?.pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA foreign_keys = OFF; DELETE FROM tips WHERE id = 'keyed'")
            }
            let text = await refusal(place)
            #expect(text.contains("table 'idempotency' can't be moved") && !text.contains("\n"), "\(text)")
        }
    }

    @Test func `a file of an older version is for its server to bring up to date`() async throws {
        try await withPlace { place in
            try await (place.scene.store as? SQLiteStore)?.write { db in
                try db.execute(sql: "DELETE FROM grdb_migrations WHERE identifier = '0006-overlays'")
            }
            await expectRefusal(of: place, saying: "of an older version; start this version's server on it once")
        }
    }
}
