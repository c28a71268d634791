import Foundation
import GRDB
import Testing
import TipwireCore

@testable import TipwireStore

@Suite struct SQLiteSchemaTests {
    /// Every table, index and trigger of a database, as SQLite keeps their text.
    private func schema(of db: Database) throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT sql FROM sqlite_master
                WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'grdb_%'
                ORDER BY name
                """)
    }

    @Test func `there is a fixture of each migration's schema`() {
        #expect(SchemaFixture.all.map(\.migration) == Schema.migrator.migrations)
    }

    @Test(arguments: SchemaFixture.all)
    func `a released migration makes the schema that it always made`(fixture: SchemaFixture) throws {
        let migrated = try DatabaseQueue()
        try Schema.migrator.migrate(migrated, upTo: fixture.migration)
        let written = try DatabaseQueue()
        try written.write { try $0.execute(sql: fixture.schema) }
        #expect(try migrated.read(schema) == written.read(schema))
    }

    @Test(arguments: SchemaFixture.all)
    func `a database of each old schema opens, with its rows`(fixture: SchemaFixture) async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("old.db").path
            try fixture.make(at: path)
            let store = try SQLiteStore.open(at: path)
            let fresh = try DatabaseQueue()
            try Schema.migrator.migrate(fresh)
            #expect(try await store.read(schema) == fresh.read(schema))

            #expect(try await store.bounds() == LogBounds(epoch: "0badcafe", head: 3, prunedThrough: 1))
            let directory = try await store.directory()
            #expect(directory.accounts.map(\.name.text) == ["admin", "bob"])
            let page = try #require(directory.pages.first)
            #expect(page.slug.text == "cats" && page.members.count == 1)
            #expect(directory.keys.map(\.pages) == [[page.id], nil])
            let events = try await store.events(after: 1, pages: .some([page.id]), limit: 10).events
            #expect(events.map(\.body.kind) == [.tipReceived, .tipReplayed])
            let tips = try await store.tips(page: page.id, before: nil, limit: 10)
            #expect(tips.map(\.tip.displayName) == ["Ann", ""])
            let repeated = try await store.commit(
                [
                    .receive(
                        page: page.id, drafts: [draft(id: "tip-2", message: "hi")],
                        idempotencyKey: TipIdentifier("key-2")!)
                ],
                at: .seconds(9))
            #expect(try repeated.results[0].get()[0].events.map(\.sequence) == [2])
            #expect(try await store.session(SecretHash(of: "session"), at: .zero) != nil)
            #expect(try await store.redeemLoginCode(SecretHash(of: "code"), at: .zero) != nil)
            try await store.close()
        }
    }

    // MARK: Files that can't be used

    private func refusal(at path: String) -> String? {
        do {
            _ = try SQLiteStore.open(at: path)
            return nil
        } catch {
            return (error as? StoreUnusable)?.description ?? "another error: \(error)"
        }
    }

    @Test func `a database of a newer program is refused and left as it was`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("new.db").path
            try await SQLiteStore.open(at: path).close()
            try await DatabaseQueue(path: path).write { db in
                try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('9999-from-the-future')")
            }
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            let line = try #require(refusal(at: path))
            #expect(line.contains("a newer version of Tipwire") && line.contains(path) && !line.contains("\n"))
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        }
    }

    @Test func `a database of another program is refused and left as it was`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("other.db").path
            let other = try DatabaseQueue(path: path)
            try await other.write { db in try db.execute(sql: "CREATE TABLE accounts (id INTEGER PRIMARY KEY)") }
            try other.close()
            let before = try Data(contentsOf: URL(fileURLWithPath: path))
            #expect(refusal(at: path)?.contains("belongs to another program") == true)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        }
    }

    @Test func `a file that is no database is refused`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("notes.txt").path
            try Data(String(repeating: "not a database\n", count: 1_000).utf8).write(to: URL(fileURLWithPath: path))
            #expect(refusal(at: path) == "the database \(path) can't be used: it is not an SQLite database")
        }
    }

    @Test func `a damaged database is refused`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("damaged.db").path
            try await SQLiteStore.open(at: path).close()
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            // All but the header: the schema itself is gone.
            bytes.replaceSubrange(100..., with: repeatElement(0xA5, count: bytes.count - 100))
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(refusal(at: path)?.contains("damaged; restore a backup") == true)
        }
    }

    @Test func `a database without its log row is refused`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("empty.db").path
            let store = try SQLiteStore.open(at: path)
            try await store.write { db in try db.execute(sql: "DELETE FROM log") }
            try await store.close()
            #expect(refusal(at: path)?.contains("is damaged: table 'log'") == true)
        }
    }

    @Test func `a path that is a folder, or has none, is refused`() async throws {
        try await withFolder { folder in
            for path in [folder.path, folder.appendingPathComponent("missing/tipwire.db").path] {
                #expect(refusal(at: path)?.contains("can't be opened for reading and writing") == true)
            }
        }
    }
}
