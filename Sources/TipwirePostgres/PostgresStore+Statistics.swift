import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

extension PostgresStore: StatisticsStore {
    public func statistics(page: Page.ID, over span: BucketedSpan) async throws -> PageStatistics {
        try await read { db in
            let bounds: [PostgresValue] = [
                .int(page.rawValue), .int(span.from.milliseconds), .int(span.to.milliseconds),
            ]
            let tips = """
                FROM tips WHERE page_id = $1 AND refunded_at IS NULL AND processed_at >= $2 AND processed_at < $3
                """
            var buckets = [PageStatistics.Sum](repeating: .init(), count: span.count)
            var total = PageStatistics.Sum()
            // PostgreSQL adds BIGINT up to NUMERIC.
            let rows = try db.execute(
                """
                SELECT (processed_at - $2) / $4::bigint, count(*), sum(gross)::bigint, sum(fee)::bigint \(tips)
                GROUP BY 1
                """, arguments: bounds + [.int(span.bucket)])
            for row in rows {
                let sum = PageStatistics.Sum(tips: row[1], grossAmountInCents: row[2], feesInCents: row[3])
                buckets[row[0]] = sum
                total.tips += sum.tips
                total.grossAmountInCents += sum.grossAmountInCents
                total.feesInCents += sum.feesInCents
            }
            let supporters = try db.execute(
                """
                SELECT display_name, count(*), sum(gross)::bigint \(tips)
                GROUP BY display_name ORDER BY 3 DESC, 1 LIMIT \(Limits.supporters)
                """, arguments: bounds
            ).map { PageStatistics.Supporter(displayName: $0[0], tips: $0[1], grossAmountInCents: $0[2]) }
            let completions = try db.execute(
                """
                SELECT time, data FROM events
                WHERE page_id = $1 AND time >= $2 AND time < $3 AND kind = '\(EventKind.goalCompleted.rawValue)'
                ORDER BY sequence DESC LIMIT \(Limits.completions)
                """, arguments: bounds
            ).compactMap { row -> PageStatistics.Completion? in
                let body = try EventData.decode(kind: EventKind.goalCompleted.rawValue, data: row[1])
                guard case .goalCompleted(let completion) = body else { return nil }
                return PageStatistics.Completion(completion: completion, time: Timestamp(milliseconds: row[0]))
            }
            return PageStatistics(buckets: buckets, total: total, supporters: supporters, completions: completions)
        }
    }
}
