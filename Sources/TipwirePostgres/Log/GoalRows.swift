import TipwireCore
import TipwireStore

/// Goals in a table: `goals`, which holds them as they are, or `pruned_goals`, which holds them as retention left them.
enum GoalRows: String {
    case current = "goals"
    case pruned = "pruned_goals"

    func read(_ db: PostgresConnection, page: Page.ID) throws -> GoalQueue {
        try read(db, pages: [page])[page] ?? GoalQueue()
    }

    /// Of each page that has any.
    func read(_ db: PostgresConnection, pages: [Page.ID]) throws -> [Page.ID: GoalQueue] {
        var goals: [Page.ID: [Goal]] = [:]
        let rows = try db.execute(
            """
            SELECT page_id, id, description, amount, progress FROM \(rawValue) WHERE page_id = ANY($1::bigint[])
            ORDER BY page_id, position
            """, pages.map(\.rawValue))
        for row in rows {
            goals[Page.ID(rawValue: row[0]), default: []].append(
                Goal(id: row[1], description: row[2], amountInCents: row[3], progressInCents: row[4]))
        }
        return goals.mapValues { GoalQueue($0) }
    }

    /// What is to be written of several pages, in three statements at most.
    struct Changes {
        /// Goals that are where they were, changed.
        private var updated: [(page: Page.ID, goal: Goal)] = []
        /// Pages whose goals are other ones, or in another order.
        private var replaced: [(page: Page.ID, goals: [Goal])] = []

        mutating func add(_ queue: GoalQueue, over before: GoalQueue, of page: Page.ID) {
            if queue.goals.map(\.id) == before.goals.map(\.id) {
                // Most changes are a tip's, which moves one number.
                for (goal, old) in zip(queue.goals, before.goals) where goal != old { updated.append((page, goal)) }
            } else {
                replaced.append((page, queue.goals))
            }
        }

        func write(to table: GoalRows, _ db: PostgresConnection) throws {
            if !updated.isEmpty {
                try db.execute(
                    """
                    UPDATE \(table.rawValue) AS g SET description = new.description, amount = new.amount,
                        progress = new.progress
                    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
                        AS new (page_id, id, description, amount, progress)
                    WHERE g.page_id = new.page_id AND g.id = new.id
                    """,
                    updated.map(\.page.rawValue), updated.map(\.goal.id), updated.map(\.goal.description),
                    updated.map(\.goal.amountInCents), updated.map(\.goal.progressInCents))
            }
            guard !replaced.isEmpty else { return }
            try db.execute(
                "DELETE FROM \(table.rawValue) WHERE page_id = ANY($1::bigint[])", replaced.map(\.page.rawValue))
            let rows = replaced.flatMap { page, goals in
                goals.enumerated().map { (page: page, position: $0.offset, goal: $0.element) }
            }
            guard !rows.isEmpty else { return }
            try db.execute(
                """
                INSERT INTO \(table.rawValue) (page_id, id, position, description, amount, progress)
                SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])
                """,
                rows.map(\.page.rawValue), rows.map(\.goal.id), rows.map(\.position), rows.map(\.goal.description),
                rows.map(\.goal.amountInCents), rows.map(\.goal.progressInCents))
        }
    }
}
