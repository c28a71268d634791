import GRDB
import NIOCore
public import TipwireCore
import TipwireWire

extension SQLiteStore {
    public func statistics(page: Page.ID, over span: BucketedSpan) async throws -> PageStatistics {
        try await read { db in
            let bounds: StatementArguments = [page.rawValue, span.from.milliseconds, span.to.milliseconds]
            let tips = "FROM tips WHERE page_id = ? AND refunded_at IS NULL AND processed_at >= ? AND processed_at < ?"
            var buckets = [PageStatistics.Sum](repeating: .init(), count: span.count)
            var total = PageStatistics.Sum()
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT (processed_at - \(span.from.milliseconds)) / \(span.bucket), count(*), sum(gross), sum(fee)
                    \(tips) GROUP BY 1
                    """,
                arguments: bounds)
            while let row = try rows.next() {
                let sum = PageStatistics.Sum(tips: row[1], grossAmountInCents: row[2], feesInCents: row[3])
                buckets[row[0]] = sum
                total.tips += sum.tips
                total.grossAmountInCents += sum.grossAmountInCents
                total.feesInCents += sum.feesInCents
            }
            let supporters = try Row.fetchAll(
                db,
                sql: """
                    SELECT display_name, count(*), sum(gross) \(tips)
                    GROUP BY display_name ORDER BY 3 DESC, 1 LIMIT \(Limits.supporters)
                    """,
                arguments: bounds
            ).map { PageStatistics.Supporter(displayName: $0[0], tips: $0[1], grossAmountInCents: $0[2]) }
            let completions = try Row.fetchAll(
                db,
                sql: """
                    SELECT time, data FROM events
                    WHERE page_id = ? AND time >= ? AND time < ? AND kind = '\(EventKind.goalCompleted.rawValue)'
                    ORDER BY sequence DESC LIMIT \(Limits.completions)
                    """,
                arguments: bounds
            ).compactMap { row -> PageStatistics.Completion? in
                let body = try EventData.decode(
                    kind: EventKind.goalCompleted.rawValue, data: ByteBuffer(string: row[1]))
                guard case .goalCompleted(let completion) = body else { return nil }
                return PageStatistics.Completion(completion: completion, time: Timestamp(milliseconds: row[0]))
            }
            return PageStatistics(buckets: buckets, total: total, supporters: supporters, completions: completions)
        }
    }
}
