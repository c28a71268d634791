import Foundation
import GRDB
import Testing
import TipwireCore

@testable import TipwireStore

@Suite struct SQLiteStoreTests {
    private func withSQLite<T>(_ body: (SQLiteStore, String) async throws -> T) async throws -> T {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("tipwire.db").path
            let store = try SQLiteStore.open(at: path)
            let result = try await body(store, path)
            try await store.close()
            return result
        }
    }

    private func walBytes(_ path: String) throws -> UInt64 {
        let attributes = try FileManager.default.attributesOfItem(atPath: path + "-wal")
        return try #require(attributes[.size] as? UInt64)
    }

    // MARK: Settings

    @Test func `commits are synced, before and after work was done`() async throws {
        try await withSQLite { store, _ in
            for _ in 0..<2 {
                let effective = try await store.pool.writeWithoutTransaction { db in
                    try Int.fetchOne(db, sql: "PRAGMA synchronous")
                }
                #expect(effective == 2)
                try await Scene.sendOne(to: store)
            }
        }
    }

    @Test func `the writer keeps foreign keys, WAL, the checkpoint, and in memory what it may undo`() async throws {
        try await withSQLite { store, _ in
            let settings = try await store.pool.writeWithoutTransaction { db in
                try ["foreign_keys", "journal_mode", "wal_autocheckpoint", "temp_store"].map {
                    try String.fetchOne(db, sql: "PRAGMA \($0)")
                }
            }
            #expect(settings == ["1", "wal", "4000", "2"])
        }
    }

    @Test func `someone else's lock is waited for as long as is said, and not at all any more at the end`() {
        let patience = LockPatience()
        #expect(patience.lasts(after: 0) && patience.lasts(after: 999))
        #expect(!patience.lasts(after: 1_000))
        patience.end()
        #expect(!patience.lasts(after: 0))
    }

    @Test func `a reader does not wait for the writer`() async throws {
        try await withSQLite { store, _ in
            let scene = try await Scene(store)
            try await scene.receive([draft()])
            let (isWriting, writing) = AsyncStream.makeStream(of: Void.self)
            let release = DispatchSemaphore(value: 0)
            let write = Task {
                try await store.write { db in
                    try db.execute(sql: "DELETE FROM events")
                    writing.finish()
                    release.wait()
                }
            }
            for await _ in isWriting {}
            // The transaction stands open, and doesn't end before this line has read.
            #expect(try await scene.events().count == 1)
            release.signal()
            try await write.value
            #expect(try await scene.events().count == 0)
        }
    }

    @Test func `few commits make the write-ahead log longer, and none once it is as long as it gets`() async throws {
        try await withSQLite { store, path in
            let scene = try await Scene(store)
            func lengths(_ commits: Int) async throws -> Set<UInt64> {
                var lengths: Set<UInt64> = []
                for _ in 0..<commits {
                    try await scene.receive([draft()])
                    lengths.insert(try walBytes(path))
                }
                return lengths
            }
            let first = try await lengths(100)
            // One that finds no room makes the file longer, and the next one makes room.
            #expect(first.count <= 16, "\(first.sorted())")
            #expect(try #require(first.max()) > UInt64(500 * WriteAheadRoom.frameBytes))
            let whole = try await lengths(800)
            #expect(whole.max() == UInt64(WriteAheadRoom.limit), "\(whole.sorted())")
            #expect(try await lengths(20).count == 1)
            #expect(try await scene.events(limit: 2_000).count == 920)
        }
    }

    @Test func `the write-ahead log is folded in by close`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("tipwire.db").path
            let store = try SQLiteStore.open(at: path)
            try await Scene.sendOne(to: store)
            #expect(try walBytes(path) > 0)
            try await store.close()
            // GRDB's readers close last and may not remove the file, but there is nothing in it.
            #expect(try walBytes(path) == 0)
        }
    }

    @Test func `a closed store refuses every call`() async throws {
        try await withFolder { folder in
            let store = try SQLiteStore.open(at: folder.appendingPathComponent("tipwire.db").path)
            try await store.close()
            await #expect(throws: DatabaseError.self) { try await store.bounds() }
            await #expect(throws: StoreFailing.self) { try await store.commit([], at: .zero) }
            let outcome = await store.outcome {
                Issue.record("a closed store has taken a batch")
                return LogBatch([], at: .zero)
            }
            #expect(throws: StoreFailing.self) { try outcome.get() }
            await #expect(throws: StoreFailing.self) { try await store.deleteSession(SecretHash(of: "x")) }
        }
    }

    @Test func `a store that has to end waits for nobody's lock`() async throws {
        try await withSQLite { store, path in
            let scene = try await Scene(store)
            var configuration = Configuration()
            configuration.allowsUnsafeTransactions = true
            let other = try DatabaseQueue(path: path, configuration: configuration)
            try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
            let began = ContinuousClock.now
            async let commit = store.outcome { LogBatch([scene.tip(draft())], at: .zero) }
            store.hasten()
            let outcome = await commit
            #expect(throws: StoreFailing.self) { try outcome.get() }
            // It would be five seconds else.
            #expect(began.duration(to: .now) < .seconds(4))
            try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
            #expect(try await store.commit([scene.tip(draft())], at: .zero).bounds.head == 1)
        }
    }

    #if os(Linux)
    @Test func `the thread that writes takes no processor from others`() async throws {
        try await withFolder { folder in
            let store = try SQLiteStore.open(at: folder.appendingPathComponent("tipwire.db").path)
            let (name, policy, isPermitted) = try await store.write { _ in
                let name = try String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
                var policy: CInt = -1
                var parameters = sched_param()
                let status = pthread_getschedparam(pthread_self(), &policy, &parameters)
                let isPermitted = pthread_setschedparam(pthread_self(), 3, &parameters) == 0
                return (name, status == 0 ? policy : -1, isPermitted)
            }
            #expect(name == "store writer\n")
            // `SCHED_BATCH`, unless a sandbox forbids it.
            #expect(policy == 3 || !isPermitted)
            try await store.close()
        }
    }
    #endif

    // MARK: Indexes

    @Test(arguments: [
        ("SELECT * FROM events WHERE sequence > ? AND page_id = ? ORDER BY sequence LIMIT ?", "events_by_page"),
        (
            "SELECT * FROM tips WHERE page_id = ? AND last_sequence < ? ORDER BY last_sequence DESC LIMIT ?",
            "tips_by_page"
        ),
    ])
    func `one page's rows are found by an index and need no sorting`(sql: String, index: String) async throws {
        try await withSQLite { store, _ in
            let plan = try await store.read { db in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN \(sql)", arguments: [1, 1, 1])
                    .map { $0["detail"] as String }
            }
            #expect(plan.count == 1)
            #expect(plan[0].contains("USING INDEX \(index) (page_id=? AND rowid"), "\(plan)")
        }
    }

    @Test func `a read of several pages looks at a bounded stretch of the log`() async throws {
        try await withSQLite { store, _ in
            let scene = try await Scene(store)
            let third = try await store.createPage(.named("third", owner: scene.account))
            let window = SQLiteStore.windowRows
            try await scene.receive((0..<window + 1).map { _ in draft() })
            let quiet = PageSelection.some([scene.other.id, third.id])
            let slice = try await store.events(after: 0, pages: quiet, limit: 1)
            #expect(slice.events.isEmpty && slice.through == Int64(window) && slice.bounds.head == Int64(window) + 1)
        }
    }

    // MARK: Constraints

    @Test(arguments: [
        "UPDATE log SET id = 2",
        "INSERT INTO log SELECT 2, epoch, head, pruned_through, committed_at, events, bytes FROM log",
        "UPDATE log SET pruned_through = head + 1",
        "UPDATE log SET events = head + 1",
        "UPDATE log SET bytes = -1",
        "UPDATE log SET head = 'x'",
        "UPDATE tips SET gross = 0",
        "UPDATE tips SET fee = gross + 1",
        "UPDATE tips SET fee = -1",
        "UPDATE tips SET display_name = ''",
        "UPDATE tips SET is_anonymous = 1",
        "UPDATE tips SET created_at = created_at + 1",
        "UPDATE tips SET first_sequence = last_sequence + 1",
        "UPDATE tips SET id = ''",
        "UPDATE tips SET page_id = 99",
        "UPDATE events SET page_id = 99",
        "UPDATE events SET data = NULL",
        "UPDATE events SET data = x'00'",
        "UPDATE pages SET currency = 'EURO'",
        "UPDATE pages SET slug = 'same'",
        "UPDATE keys SET hash = x'00'",
        "UPDATE keys SET is_limited = 2",
        "DELETE FROM accounts",
    ])
    func `what must not be is refused by the schema`(sql: String) async throws {
        try await withSQLite { store, _ in
            let scene = try await Scene(store)
            try await scene.receive([draft(id: "a")])
            try await store.createKey(.sample("k", account: scene.account.id))
            let refusal = await #expect(throws: DatabaseError.self) {
                try await store.write { db in try db.execute(sql: sql) }
            }
            #expect(refusal?.resultCode == .SQLITE_CONSTRAINT)
        }
    }

    @Test func `a batch that meets a database error leaves nothing`() async throws {
        try await withSQLite { store, _ in
            let scene = try await Scene(store)
            try await scene.receive([draft(id: "a")])
            try await store.write { db in
                try db.execute(
                    sql: """
                        CREATE TRIGGER full BEFORE INSERT ON tips WHEN NEW.id = 'c'
                        BEGIN SELECT RAISE(ABORT, 'disk full'); END
                        """)
            }
            await #expect(throws: DatabaseError.self) {
                try await store.commit([scene.tip(draft(id: "b")), scene.tip(draft(id: "c"))], at: .seconds(9))
            }
            #expect(try await store.bounds().head == 1)
            #expect(try await scene.events().count == 1)
            #expect(try await scene.receive([draft(id: "d")], at: .seconds(1))[0].lastSequence == 2)
            #expect(try await store.tip(page: scene.page.id, id: TipIdentifier("b")!) == nil)
        }
    }
}

extension Scene {
    /// A scene's worth of rows and one tip, on a store that may hold some already.
    static func sendOne(to store: SQLiteStore) async throws {
        let directory = try await store.directory()
        let page: Page
        if let first = directory.pages.first { page = first } else { page = try await Scene(store).page }
        _ = try await store.commit([.receive(page: page.id, drafts: [draft()], idempotencyKey: nil)], at: .zero)
    }
}
