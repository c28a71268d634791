import Foundation
import NIOCore
import Testing
import TipwireCore
import TipwireStore

@testable import TipwirePostgres

/// What is PostgreSQL's alone, beside the contract: other servers beside this one, and a server that goes away.
@Suite(.enabled(if: StoreKind.postgres != nil, "TIPWIRE_TEST_POSTGRES names no server"))
struct PostgresStoreTests {
    private let server: PostgresServer

    init() throws { server = try #require(PostgresServer.given) }

    /// The names of databases that no other test has.
    private func database() throws -> (name: String, url: String) {
        let name = "tipwire-\(UUID().uuidString)"
        return (name, try server.database(name))
    }

    private func refusal(_ url: String) async -> String {
        await refusal { try await PostgresStore.open(url).close() }
    }

    private func refusal(_ opening: () async throws -> Void) async -> String {
        do {
            try await opening()
            return "it was opened"
        } catch {
            return "\(error is StoreUnusable ? "" : "no StoreUnusable: ")\(error)"
        }
    }

    // MARK: Opening

    @Test func `what can't be opened says why in one line`() async throws {
        let (name, url) = try database()
        let address = url.dropLast(name.count)
        #expect(await refusal("\(address)nowhere").contains("database \"nowhere\" does not exist"))
        #expect(await refusal("postgres://tipwire@127.0.0.1:1/x").contains("Connection refused"))
        #expect(
            await refusal(url.replacingOccurrences(of: "secret", with: "wrong"))
                .contains("password authentication failed for user \"tipwire\""))
        _ = try server.run(
            "postgres", "CREATE DATABASE \"\(name)-latin\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        #expect(await refusal("\(url)-latin").contains("encoding is LATIN1"))
        try await PostgresStore.open(url).close()
        try server.run(name, "INSERT INTO tipwire.migrations VALUES ('9999-later')")
        #expect(await refusal(url).contains("newer Tipwire (9999-later)"))
        for text in [await refusal("\(address)nowhere"), await refusal("postgres://tipwire@127.0.0.1:1/x")] {
            #expect(!text.contains("\n"), "\(text)")
        }
    }

    @Test func `servers that start at once make the tables once`() async throws {
        let (_, url) = try database()
        let epochs = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let store = try await PostgresStore.open(url)
                    let epoch = try await store.bounds().epoch
                    try await store.close()
                    return epoch
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(epochs.count == 1)
    }

    @Test func `commits are durable, whatever the database's setting says`() async throws {
        let (name, url) = try database()
        try server.run("postgres", "ALTER DATABASE \"\(name)\" SET synchronous_commit = off")
        let store = try await PostgresStore.open(url)
        let setting = try await store.read { db in try db.execute("SHOW synchronous_commit")[0][0] as String }
        #expect(setting == "on")
        try await store.close()
        try server.run("postgres", "ALTER DATABASE \"\(name)\" SET synchronous_commit = remote_apply")
        let other = try await PostgresStore.open(url)
        let kept = try await other.read { db in try db.execute("SHOW synchronous_commit")[0][0] as String }
        #expect(kept == "remote_apply")
        try await other.close()
    }

    @Test func `text of every kind comes back as it went`() async throws {
        let (_, url) = try database()
        let store = try await PostgresStore.open(url)
        let texts = ["", "NULL", "\"quoted\" \\ back{,}slash", "two\nlines\ttab", "😀 ë \u{202E}", "';--"]
        let numbers: [Int64?] = [0, -1, .max, .min, nil]
        let bytes = ByteBuffer(bytes: Array(0...255) as [UInt8])
        try await store.read { db in
            for text in texts { #expect(try db.execute("SELECT $1::text", text)[0][0] as String == text) }
            let listed = try db.execute("SELECT * FROM unnest($1::text[])", texts)
            #expect(listed.map { $0[0] as String } == texts)
            let counted = try db.execute("SELECT * FROM unnest($1::bigint[])", PostgresValue.ints(numbers))
            #expect(counted.map { $0[0] as Int64? } == numbers)
            #expect(try db.execute("SELECT $1::bytea", bytes)[0][0] as ByteBuffer == bytes)
            let blobs = try db.execute("SELECT * FROM unnest($1::bytea[])", PostgresValue.blobs([bytes, nil]))
            #expect(blobs.map { $0[0] as ByteBuffer? } == [bytes, nil])
            let flags = try db.execute("SELECT * FROM unnest($1::boolean[])", PostgresValue.bools([true, false]))
            #expect(flags.map { $0[0] as Bool } == [true, false])
        }
        await #expect(throws: PostgresError.self) {
            try await store.read { db in _ = try db.execute("SELECT $1::text", "a\0b") }
        }
        try await store.close()
    }

    // MARK: Together

    @Test func `commits of several servers are seen once each and in order by one that polls`() async throws {
        let (_, url) = try database()
        let stores = try await withThrowingTaskGroup(of: PostgresStore.self) { group in
            for _ in 0..<4 { group.addTask { try await PostgresStore.open(url) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let scene = try await Scene(stores[0])
        let goal = GoalCommand.add("g1", description: "Lights", amountInCents: 10_000_000)
        _ = try await scene.results([.changeGoals(page: scene.page.id, goal, idempotencyKey: nil)])
        let (writers, batches, each) = (3, 40, 5)
        let total = Int64(1 + writers * batches * each)
        async let seen: [Int64] = {
            var seen: [Int64] = []
            while (seen.last ?? 0) < total {
                let slice = try await stores[3].events(after: seen.last ?? 0, pages: .all, limit: 50)
                seen += slice.events.map(\.sequence)
            }
            return seen
        }()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in stores.prefix(writers) {
                group.addTask {
                    for batch in 0..<batches {
                        // Some are refused, and leave no gap.
                        let commands =
                            (0..<each).map { _ in scene.tip(draft(100)) }
                            + (batch.isMultiple(of: 3)
                                ? [.replay(page: scene.page.id, tip: TipIdentifier("nobody")!)] : [])
                        _ = try await writer.commit(commands, at: .seconds(Int64(batch)))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await seen == Array(1...total))
        let queue = try await stores[0].goals(page: scene.page.id)
        #expect(queue.goals[0].progressInCents == writers * batches * each * 100)
        #expect(try await stores[1].logStatistics().events == total)
        for store in stores { try await store.close() }
    }

    // MARK: A server that goes away

    @Test func `connections that are cut lose no acknowledged tip and double none`() async throws {
        let (name, url) = try database()
        let store = try await PostgresStore.open(url)
        let scene = try await Scene(store)
        let cutting = Task {
            while !Task.isCancelled {
                try server.cutOff(name)
                try await Task.sleep(for: .milliseconds(30))
            }
        }
        var failures = 0
        for number in 0..<300 {
            let tip = draft(id: "t\(number)", 100)
            // As a client does: again until it is answered.
            while true {
                do {
                    _ = try await scene.receive([tip])
                    break
                } catch is StoreFailing {
                    failures += 1
                }
            }
        }
        cutting.cancel()
        _ = try? await cutting.value
        #expect(failures > 0, "nothing was cut, and nothing proved")
        let tips = try await settled { try await store.tips(page: scene.page.id, before: nil, limit: 1_000) }
        #expect(Set(tips.map(\.tip.id.text)) == Set((0..<300).map { "t\($0)" }) && tips.count == 300)
        #expect(try await scene.events().map(\.sequence) == Array(1...300))
        try await store.close()
    }

    /// The first call on a connection that was cut fails.
    private func settled<T>(_ body: () async throws -> T) async throws -> T {
        for _ in 0..<10 {
            do { return try await body() } catch is StoreFailing {}
        }
        return try await body()
    }

    /// What the last batch has left is gone, as in a replica that never got it, and all connections are cut.
    private func loseTail(of name: String) throws {
        try server.run(
            name,
            """
            SET search_path = tipwire; DELETE FROM tips WHERE last_sequence = 3; DELETE FROM events WHERE sequence = 3;
            DELETE FROM batches WHERE head = 3; UPDATE log SET head = 2, events = 2;
            """)
        try server.cutOff(name)
    }

    @Test(arguments: ["read", "commit"])
    func `a log that has lost its tail has another epoch before anything else is told of it`(first: String) async throws
    {
        let (name, url) = try database()
        let stores = [try await PostgresStore.open(url), try await PostgresStore.open(url)]
        let scene = try await Scene(stores[0])
        for number in 0..<3 { try await scene.receive([draft(id: "t\(number)")]) }
        let alerts = (1...3).map { Alert(page: scene.page.id, sequence: $0) }
        _ = try await stores[0].settle(AlertErrands(shown: [alerts[0]: 1, alerts[1]: 1, alerts[2]: 1]))
        // The other one has only seen it.
        let epoch = try await stores[1].bounds().epoch
        try loseTail(of: name)
        for store in stores {
            // What it has told its listeners is of the log before, so it tells and takes no more.
            if first == "commit" {
                await #expect(throws: LogReplaced.self) {
                    try await settled { try await store.commit([scene.tip(draft())], at: .seconds(9)) }
                }
            }
            await #expect(throws: LogReplaced.self) { try await settled { try await store.bounds() } }
            await #expect(throws: LogReplaced.self) {
                try await settled { try await store.events(after: 0, pages: .all, limit: 1) }
            }
        }
        // Until it has let go of them.
        var bounds = LogBounds(epoch: epoch, head: 3, prunedThrough: 0)
        for (number, store) in stores.enumerated() {
            let adopted = try await store.adoptLog()
            #expect(adopted.epoch != epoch && (number == 0 || adopted.epoch == bounds.epoch))
            #expect(adopted.head == 2 + Int64(number))
            bounds = try await store.commit([scene.tip(draft(id: "new\(number)"))], at: .seconds(9)).bounds
            #expect(bounds == LogBounds(epoch: adopted.epoch, head: 3 + Int64(number), prunedThrough: 0))
        }
        // The alert of what is lost isn't that of what has its number now.
        #expect(
            try await stores[1].settle(AlertErrands(claims: [alerts[0]: 2, alerts[1]: 2, alerts[2]: 2]))
                == [alerts[0]: .shown, alerts[1]: .shown, alerts[2]: .granted])
        for store in stores { try await store.close() }
    }

    @Test func `any number of servers use a database, and none while it is one program's alone`() async throws {
        let (_, url) = try database()
        let servers = [try await PostgresStore.open(url), try await PostgresStore.open(url)]
        #expect(await refusal { try await PostgresStore.openAlone(url).close() }.contains("in use by a server"))
        for server in servers { try await server.close() }
        let alone = try await PostgresStore.openAlone(url)
        #expect(await refusal { try await PostgresStore.open(url).close() }.contains("tipwire migrate"))
        try await alone.close()
        try await PostgresStore.open(url).close()
    }

    @Test func `a node that stands still in a transaction is cut off`() async throws {
        let (_, url) = try database()
        let store = try await PostgresStore.open(url)
        let limits = try await store.read { db in
            try ["idle_in_transaction_session_timeout", "lock_timeout"].map { name in
                try db.execute("SHOW \(name)")[0][0] as String
            }
        }
        #expect(limits == ["30s", "30s"])
        try await store.close()
        await #expect(throws: StoreFailing.self) { try await store.bounds() }
        await #expect(throws: StoreFailing.self) { try await store.commit([], at: .zero) }
    }

    @Test func `a transaction that goes on after an error is not taken for kept`() async throws {
        let (_, url) = try database()
        let store = try await PostgresStore.open(url)
        await #expect(throws: PostgresError.self) {
            try await store.write { db in
                _ = try? db.execute("SELECT 1 / 0")
                return "kept"
            }
        }
        try await store.close()
    }

    @Test(arguments: [
        "postgres://tipwire:se@cret@127.0.0.1/x", "postgres://tipwire:secret#1@127.0.0.1:x/y", "mysql://u:secret@h/x",
        "postgres://tipwire:%secret@127.0.0.1/x", "postgres://[secret", "postgres://h/x?secret=1",
    ])
    func `a URL that can't be read is not repeated in what is said of it`(url: String) async throws {
        let text = await refusal(url)
        #expect(text.contains("URL") && !text.contains("secret") && !text.contains("cret"), "\(text)")
    }

    @Test func `a connection that was cut and finds its last batch goes on in the same epoch`() async throws {
        let (name, url) = try database()
        let store = try await PostgresStore.open(url)
        let scene = try await Scene(store)
        try await scene.receive([draft(id: "a")])
        let epoch = try await store.bounds().epoch
        try server.cutOff(name)
        _ = try await settled { try await scene.receive([draft(id: "b")]) }
        #expect(try await settled { try await store.bounds() } == LogBounds(epoch: epoch, head: 2, prunedThrough: 0))
        try await store.close()
    }
}
