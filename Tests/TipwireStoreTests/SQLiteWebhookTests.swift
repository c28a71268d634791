import Foundation
import GRDB
import Testing
import TipwireCore

@testable import TipwireStore

@Suite struct SQLiteWebhookTests {
    /// A store with one webhook that has a delivery in every state, and a test.
    private func withWebhook(
        _ body: (SQLiteStore, Scene, WebhookNumber, [DeliveryID]) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let store = try SQLiteStore.open(at: folder.appendingPathComponent("tipwire.db").path)
            let scene = try await Scene(store)
            let webhook = try await scene.makeWebhook()
            let ids = try await scene.dispatch(1...4, to: webhook) + [try await scene.makeTest(of: webhook, after: 4)]
            try await store.record(
                [
                    .attempt(1, of: ids[0], .delivered), .attempt(1, of: ids[1], .retry(due: .seconds(9))),
                    .attempt(1, of: ids[2], .dead(.refused)),
                ], standings: [:])
            try await body(store, scene, webhook, ids)
            try await store.close()
        }
    }

    // MARK: Indexes

    /// The query plans of what a call executes on deliveries, as SQLite explains them.
    private func plans(
        _ store: SQLiteStore, of call: (SQLiteStore) async throws -> Void
    ) async throws -> [String] {
        let executed = Statements()
        try await store.pool.writeWithoutTransaction { db in db.trace { executed.add($0) } }
        // One reader at a time, which is always the same.
        try await store.pool.read { db in db.trace { executed.add($0) } }
        try await call(store)
        try await store.pool.writeWithoutTransaction { db in db.trace(nil) }
        return try await store.pool.read { db in
            db.trace(nil)
            return try executed.texts.flatMap { sql in
                let statement = try db.makeStatement(sql: "EXPLAIN QUERY PLAN \(sql)")
                // With nothing bound: a plan depends on no value here.
                statement.setUncheckedArguments([])
                return try Row.fetchAll(statement).map { $0["detail"] as String }
            }
        }
    }

    @Test func `no call on deliveries scans or sorts them, and the pending ones have their indexes`() async throws {
        try await withWebhook { store, _, webhook, ids in
            let pending = "SEARCH webhook_deliveries USING COVERING INDEX webhook_deliveries_pending (webhook=?"
            let due = "SEARCH webhook_deliveries USING COVERING INDEX webhook_deliveries_due (webhook=? AND due_at>?)"
            #expect(
                try await plans(store) { _ = try await $0.firsts(of: webhook, after: ids[0], limit: 9) }
                    == [pending + " AND (sequence,test)>(?,?))"])
            #expect(try await plans(store) { _ = try await $0.retries(of: webhook, limit: 9) } == [due])
            #expect(try await plans(store) { _ = try await $0.backlog(of: webhook) } == [pending + ")"])
            let snapshot = try await plans(store) { _ = try await $0.webhooks() }
            #expect(snapshot.contains("SCAN webhook_deliveries USING COVERING INDEX webhook_deliveries_pending"))
            let all = try await plans(store) { store in
                var dispatch = WebhookDispatch(level: 9)
                dispatch.add(9...9, to: webhook)
                dispatch.positions = [webhook: nil]
                dispatch.room = [webhook: 0]
                #expect(try await store.dispatch(dispatch).displaced.count == 1)
                try await store.record(
                    [.attempt(1, of: ids[4], .delivered)],
                    standings: [webhook: EndpointStanding(failingSince: nil)])
                for id in ids {
                    _ = try await store.delivery(id)
                    _ = try await store.testContent(of: id)
                }
                for kind in DeliveryKind.allCases + [nil] {
                    _ = try await store.deliveries(of: webhook, kind: kind, before: ids[3], limit: 9)
                    _ = try await store.retry(
                        RetrySelection(kind: kind, status: 500, from: .zero, to: .zero), of: webhook, at: .zero)
                }
                _ = try await store.retry(ids[0], at: .zero)
                _ = try await store.attempts(of: ids[1])
                _ = try await store.test("test", of: webhook)
                _ = try await store.trimDeliveries(of: webhook, keeping: 0, limit: 99)
            }
            #expect(all.contains(pending + ")"), "what is displaced")
            #expect(all.count > 25, "\(all.count) is less than was called")
            for plan in all {
                #expect(!plan.contains("TEMP B-TREE"), "\(plan)")
                let isTiny = ["log", "webhook_level"].contains { plan == "SCAN \($0)" }
                #expect(isTiny || !plan.contains("SCAN webhook") && !plan.hasPrefix("SCAN d"), "\(plan)")
            }
        }
    }

    @Test func `deliveries and attempts go with their webhook by the beginning of their keys`() async throws {
        try await withWebhook { store, _, _, _ in
            let missing = try await store.read { db in
                // What has no index that begins with the columns of its foreign key would be read through by a deletion.
                try ["webhook_secrets", "webhook_deliveries", "webhook_tests", "webhook_attempts"].filter { table in
                    let columns = try String.fetchAll(
                        db, sql: "SELECT \"from\" FROM pragma_foreign_key_list(?) ORDER BY seq", arguments: [table])
                    let key = try String.fetchAll(
                        db, sql: "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", arguments: [table])
                    return columns.isEmpty || columns != Array(key.prefix(columns.count))
                }
            }
            #expect(missing == [])
        }
    }

    // MARK: Constraints

    @Test(arguments: [
        "UPDATE webhooks SET page_id = 99",
        "UPDATE webhooks SET disabled = 'x', position = NULL",
        "UPDATE webhooks SET minimum_cents = 5",
        "UPDATE webhook_level SET sequence = -1",
        "INSERT INTO webhook_level VALUES (2, 0)",
        "UPDATE webhook_secrets SET secret = 'plain'",
        "UPDATE webhook_secrets SET expires_at = 5",
        "UPDATE webhook_secrets SET number = 1",
        "UPDATE webhook_deliveries SET webhook = 99 WHERE sequence = 2",
        "UPDATE webhook_deliveries SET sequence = -1 WHERE sequence = 4 AND test = 0",
        "UPDATE webhook_deliveries SET state = 'lost', due_at = NULL, reason = NULL",
        "UPDATE webhook_deliveries SET due_at = NULL WHERE state = 'pending'",
        "UPDATE webhook_deliveries SET due_at = 5 WHERE state = 'delivered'",
        "UPDATE webhook_deliveries SET reason = NULL WHERE state = 'dead'",
        "UPDATE webhook_deliveries SET reason = 'x' WHERE state = 'delivered'",
        "UPDATE webhook_deliveries SET round = attempts + 1",
        "UPDATE webhook_tests SET sequence = 3",
        "UPDATE webhook_attempts SET sequence = 99",
        "UPDATE webhook_attempts SET number = 0",
        "UPDATE webhook_attempts SET duration = -1",
    ])
    func `what must not be of webhooks is refused by the schema`(sql: String) async throws {
        try await withWebhook { store, _, _, _ in
            let refusal = await #expect(throws: DatabaseError.self) {
                try await store.write { db in try db.execute(sql: sql) }
            }
            #expect(refusal?.resultCode == .SQLITE_CONSTRAINT)
        }
    }

    /// No call deletes accounts yet; the schema is ready for the one that will.
    @Test func `a webhook goes with its account`() async throws {
        try await withWebhook { store, scene, webhook, _ in
            let bob = try await store.createAccount(NewAccount(name: Slug("bob")!, passwordHash: nil, createdAt: .zero))
            let lost = try await store.createWebhook(
                scene.subscription("b", account: bob.id), callback: "https://bot.example",
                secret: StoredSecret("whsec_b"), position: 0)
            try await scene.dispatch(5...5, to: lost)
            try await store.write { db in
                try db.execute(sql: "DELETE FROM accounts WHERE id = ?", arguments: [bob.id.rawValue])
            }
            #expect(try await scene.webhooks.map(\.number) == [webhook])
            #expect(try await store.deliveries(of: lost, kind: nil, before: nil, limit: 9) == [])
        }
    }

    // MARK: Old rows

    @Test func `webhooks of the schema that they came with can be read`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("old.db").path
            try SchemaFixture.webhooks.make(at: path)
            let store = try SQLiteStore.open(at: path)
            let snapshot = try await store.webhooks()
            #expect(snapshot.level == 3)
            let webhooks = snapshot.webhooks.map(\.webhook)
            #expect(webhooks.map(\.number.rawValue) == [4, 6])
            #expect(webhooks.map(\.disabled) == [nil, .gone] && webhooks.map(\.position) == [nil, 2])
            #expect(webhooks[0].subscription.condition?.minimumAmountInCents == 500)
            #expect(webhooks[0].secrets.map(\.text) == ["whsec_bmV3", "whsec_b2xk"])
            #expect(snapshot.webhooks[0].backlog.firsts == 1 && snapshot.webhooks[0].backlog.pending == 2)

            let number = webhooks[0].number
            let deliveries = try await store.deliveries(of: number, kind: nil, before: nil, limit: 9)
            let due = Timestamp(milliseconds: 1_700_000_900_000)
            #expect(deliveries.map(\.state) == [.first, .retry(due: due), .delivered, .dead(.expired)])
            #expect(deliveries.map { $0.last?.code } == [nil, "head_timeout", "delivered", nil])
            let events = try await store.events(after: 1, pages: .all, limit: 9).events
            #expect(try await store.testContent(of: deliveries[0].id) == events[1].body)
            #expect(try await store.test("test-1", of: number) == deliveries[0].id)
            try await store.close()
        }
    }
}

/// The texts of executed statements.
private final class Statements: @unchecked Sendable {
    // Filled by one connection at a time, each on its own queue, and read when the calls have returned.
    private(set) var texts: [String] = []

    func add(_ event: Database.TraceEvent) {
        guard case .statement(let statement) = event else { return }
        let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE"]
        if verbs.contains(where: statement.sql.hasPrefix) { texts.append(statement.sql) }
    }
}
