import Foundation
import GRDB
import Testing
import TipwireCore

@testable import TipwireStore

@Suite struct SQLiteAuditTests {
    /// A database with goals, a chain of them, changes, a refund, and a beginning that retention has taken.
    private func withHistory(_ body: (_ path: String, SQLiteStore) async throws -> Void) async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("tipwire.db").path
            let store = try SQLiteStore.open(at: path)
            let scene = try await Scene(store)
            func goals(_ command: GoalCommand) -> LogCommand {
                .changeGoals(page: scene.page.id, command, idempotencyKey: nil)
            }
            _ = try await store.commit(
                [
                    goals(.add("a", description: "Goal a", amountInCents: 100)),
                    goals(.add("b", description: "Goal b", amountInCents: 200)),
                    goals(.add("c", description: "Goal c", amountInCents: 900)),
                    scene.tip(draft(id: "x", 50)), scene.tip(draft(id: "y", 300)), scene.tip(draft(id: "z", 70)),
                ], at: .seconds(1))
            _ = try await store.prune(olderThan: .seconds(5), keepingBytes: 1 << 30, limit: 6)
            _ = try await store.commit(
                [
                    goals(.adjust("c", amountInCents: 30, reason: "cash")),
                    .refund(page: scene.page.id, tip: TipIdentifier("z")!, idempotencyKey: nil),
                ], at: .seconds(9))
            try await body(path, store)
            try await store.close()
        }
    }

    @Test func `a sound database has no problems, also while it is in use`() async throws {
        try await withHistory { path, store in
            let audit = try SQLiteStore.audit(at: path)
            #expect(audit.problems == [])
            #expect(audit.pages == 2 && audit.goals == 3 && audit.lastCommit == .seconds(9))
            #expect(Int64(audit.events) == (try await store.logStatistics().events))
        }
    }

    @Test(arguments: [
        ("UPDATE goals SET progress = progress - 1 WHERE id = 'c'", "goal 'c' has 79, and by the log it has 80"),
        ("UPDATE goals SET description = 'x' WHERE id = 'b'", "goal 'b' is described otherwise than by the log"),
        ("UPDATE goals SET amount = 901 WHERE id = 'c'", "goal 'c' takes 901, and by the log 900"),
        ("DELETE FROM goals WHERE id = 'a'", "the log leads to the goal 'a', and the store doesn't hold it"),
        (
            "INSERT INTO goals SELECT page_id, 'z', 9, 'z', 1, 0 FROM goals WHERE id = 'a'",
            "the store holds the goal 'z', and the log doesn't lead to it"
        ),
        (
            "UPDATE goals SET position = 3 - position", "the goals stand in another order than the log leads to"
        ),
        ("UPDATE pruned_goals SET progress = progress - 1 WHERE id = 'c'", "says that the queue stood otherwise"),
        ("DELETE FROM events WHERE kind = 'goal.chain'", "the log counts"),
        ("UPDATE tips SET credits = replace(credits, '70', '90') WHERE id = 'z'", "gave other amounts to goals"),
        ("UPDATE tips SET refunded_at = 5 WHERE id = 'z'", "doesn't hold this refund of tip 'z'"),
        (
            "UPDATE events SET data = replace(data, '\"amountInCents\":30', '\"amountInCents\":-30000000000')",
            "'amountInCents' is missing, of another type or out of range"
        ),
        ("UPDATE log SET bytes = bytes + 1", "bytes and holds"),
        ("UPDATE events SET data = '{}' WHERE kind = 'tip.refunded'", "can't be read"),
        ("UPDATE events SET time = 0 WHERE kind = 'tip.refunded'", "is older than the one before it"),
    ])
    func `what was changed by hand is found`(sql: String, problem: String) async throws {
        try await withHistory { path, store in
            try await store.write { db in
                try db.execute(sql: sql)
                #expect(db.changesCount > 0)
            }
            let problems = try SQLiteStore.audit(at: path).problems
            #expect(problems.contains { $0.contains(problem) }, "\(problems)")
        }
    }

    @Test func `a half chain is found`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("tipwire.db").path
            let store = try SQLiteStore.open(at: path)
            let scene = try await Scene(store)
            _ = try await store.commit(
                [
                    .changeGoals(
                        page: scene.page.id, .add("a", description: "Goal a", amountInCents: 100), idempotencyKey: nil),
                    scene.tip(draft(id: "x", 100)),
                ], at: .zero)
            try await store.write { db in
                try db.execute(
                    sql: """
                        UPDATE log SET head = 3, events = 3, bytes = bytes - 64 - (
                            SELECT length(CAST(data AS BLOB)) FROM events WHERE sequence = 4);
                        DELETE FROM events WHERE sequence = 4
                        """)
            }
            let problems = try SQLiteStore.audit(at: path).problems
            #expect(problems == ["page 'cats': the log ends before the 'goal.queue' that its last tip asks for"])
            try await store.close()
        }
    }

    @Test func `a file that is no database is refused in one line`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("notes.txt").path
            try Data(String(repeating: "not a database\n", count: 1_000).utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: StoreUnusable.self) { try SQLiteStore.audit(at: path) }
        }
    }

    /// A page with one goal, a tip and its refund, of which retention has taken nothing.
    private func withTip(_ body: (_ path: String, SQLiteStore) async throws -> Void) async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("tipwire.db").path
            let store = try SQLiteStore.open(at: path)
            let scene = try await Scene(store)
            _ = try await store.commit(
                [
                    .changeGoals(
                        page: scene.page.id, .add("a", description: "Goal a", amountInCents: 1_000),
                        idempotencyKey: nil),
                    scene.tip(draft(id: "x", 300)), scene.tip(draft(id: "y", 50)),
                    .refund(page: scene.page.id, tip: TipIdentifier("x")!, idempotencyKey: nil),
                ], at: .seconds(1))
            try await body(path, store)
            try await store.close()
        }
    }

    @Test(arguments: [
        ("UPDATE tips SET credits = '{\"a\":900}' WHERE id = 'y'", "gave other amounts to goals"),
        ("UPDATE tips SET credits = NULL WHERE id = 'y'", "gave other amounts to goals"),
        ("UPDATE tips SET gross = 51 WHERE id = 'y'", "tip 'y' has another amount in the store"),
        ("UPDATE tips SET first_sequence = 2 WHERE id = 'y'", "looks for tip 'y' elsewhere"),
        ("DELETE FROM tips WHERE id = 'y'", "tip 'y' is not in the store"),
        (
            "UPDATE tips SET refunded_at = 9, refund_first_sequence = 3, refund_last_sequence = 3 WHERE id = 'y'",
            "doesn't tell of the refund of tip 'y'"
        ),
    ])
    func `a refund is paid from what the log says`(sql: String, problem: String) async throws {
        try await withTip { path, store in
            #expect(try SQLiteStore.audit(at: path).problems == [])
            try await store.write { db in try db.execute(sql: sql) }
            let problems = try SQLiteStore.audit(at: path).problems
            #expect(problems.contains { $0.contains(problem) }, "\(problems)")
        }
    }

    @Test(arguments: ["-5", "0", "-9223372036854775808", "99999999999", "null", "\"5\""])
    func `an impossible amount is a finding, and keeps retention from nothing`(amount: String) async throws {
        try await withTip { path, store in
            try await store.write { db in
                try db.execute(
                    sql: "UPDATE events SET data = replace(data, '\"amountInCents\":1000', '\"amountInCents\":' || ?)",
                    arguments: [amount])
            }
            #expect(try SQLiteStore.audit(at: path).problems.contains { $0.contains("'amountInCents'") })
            let pruning = try await store.prune(olderThan: .seconds(9), keepingBytes: 0, limit: 100)
            #expect(pruning.removed == 5 && !pruning.isPartial)
        }
    }

    @Test func `a change that stands in the log twice keeps retention from nothing`() async throws {
        try await withTip { path, store in
            try await store.write { db in
                try db.execute(
                    sql: """
                        UPDATE events SET kind = 'goal.queue', data = (SELECT data FROM events WHERE sequence = 1)
                        WHERE sequence = 2
                        """)
            }
            #expect(try !SQLiteStore.audit(at: path).problems.isEmpty)
            let pruning = try await store.prune(olderThan: .seconds(9), keepingBytes: 0, limit: 100)
            #expect(pruning.removed == 5)
        }
    }
}
