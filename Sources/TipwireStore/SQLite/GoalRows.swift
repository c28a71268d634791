import GRDB
import TipwireCore

/// Goals in a table: `goals`, which holds them as they are, or `pruned_goals`, which holds them as retention left them.
enum GoalRows: String {
    case current = "goals"
    case pruned = "pruned_goals"

    func read(_ db: Database, page: Page.ID) throws -> GoalQueue {
        let statement = try DirectStatement(
            db, sql: "SELECT id, description, amount, progress FROM \(rawValue) WHERE page_id = ? ORDER BY position")
        return GoalQueue(
            try statement.all {
                $0.put(page.rawValue)
            } _: { row in
                // The schema holds the progress between 0 and the amount.
                Goal(
                    id: row.text(0), description: row.text(1), amountInCents: Int(row.integer(2)),
                    progressInCents: Int(row.integer(3)))
            })
    }

    /// Makes the table say what `queue` says, and touches only what differs from `before`: most changes are a tip's, which
    /// moves one number.
    func write(_ queue: GoalQueue, over before: GoalQueue, _ db: Database, page: Page.ID) throws {
        if queue.goals.map(\.id) == before.goals.map(\.id) {
            let update = try DirectStatement(
                db,
                sql: """
                    UPDATE \(rawValue) SET description = ?, amount = ?, progress = ? WHERE page_id = ? AND id = ?
                    """)
            for (goal, old) in zip(queue.goals, before.goals) where goal != old {
                try update.run {
                    $0.put(goal.description)
                    $0.put(goal.amountInCents)
                    $0.put(goal.progressInCents)
                    $0.put(page.rawValue)
                    $0.put(goal.id)
                }
            }
            return
        }
        try db.cachedStatement(sql: "DELETE FROM \(rawValue) WHERE page_id = ?").execute(arguments: [page.rawValue])
        let insert = try db.cachedStatement(
            sql: """
                INSERT INTO \(rawValue) (page_id, id, position, description, amount, progress) VALUES (?, ?, ?, ?, ?, ?)
                """)
        for (position, goal) in queue.goals.enumerated() {
            try insert.execute(arguments: [
                page.rawValue, goal.id, position, goal.description, goal.amountInCents, goal.progressInCents,
            ])
        }
    }
}

extension SQLiteStore {
    public func goals(page: Page.ID) async throws -> GoalQueue {
        try await read { db in try GoalRows.current.read(db, page: page) }
    }
}
