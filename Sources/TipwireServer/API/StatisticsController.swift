import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// What a page took, over time and by whom.
struct StatisticsController: Sendable {
    let directory: Directory
    let store: any StatisticsStore
    let clock: WallClock

    private enum Bucket: String, CaseIterable {
        case hour
        case day
        case week

        var milliseconds: Int64 {
            switch self {
            case .hour: 3_600_000
            case .day: 86_400_000
            case .week: 7 * 86_400_000
            }
        }
    }

    /// Without `from` as many buckets as fit a screen.
    private static let defaultBuckets: Int64 = 30
    /// Time zones are from 12 hours behind UTC to 14 ahead.
    private static let offsetMinutes = -720...840
    /// From 2000-01-01, before which there is no tip, to 2100-01-01: what lies outside is a mistake.
    private static let times = Limits.earliestCreatedAt...Timestamp(milliseconds: 4_102_444_800_000)
    /// 1970-01-05, the first Monday: where weeks begin.
    private static let firstMonday: Int64 = 4 * 86_400_000

    func addRoutes(to router: APIRouter) {
        router.on(.get, "/api/v1/pages/{slug}/stats", scope: .eventsRead, statistics)
    }

    @Sendable func statistics(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        let (bucket, span) = try span(call.query)
        let statistics = try await store.statistics(page: page.id, over: span)
        return Answer.json(capacity: 128 * (statistics.buckets.count + 16)) { writer in
            writer.beginObject()
            writer.member("bucket", bucket.rawValue)
            writer.member("from", span.from.description)
            writer.member("to", span.to.description)
            writer.member("currency", page.currency.code)
            writer.key("data")
            writer.beginArray()
            for (index, sum) in statistics.buckets.enumerated() {
                Self.write(sum, from: span.start(of: index), to: &writer)
            }
            writer.endArray()
            writer.member("next", String?.none)
            writer.key("total")
            Self.write(statistics.total, to: &writer)
            writer.key("supporters")
            writer.beginArray()
            for supporter in statistics.supporters {
                writer.beginObject()
                writer.member("displayName", supporter.displayName)
                writer.member("tips", supporter.tips)
                writer.member("grossAmountInCents", supporter.grossAmountInCents)
                writer.endObject()
            }
            writer.endArray()
            writer.key("goals")
            writer.beginArray()
            for completed in statistics.completions {
                writer.beginObject()
                writer.member("id", completed.completion.goal)
                writer.member("description", completed.completion.name)
                writer.member("amountInCents", completed.completion.targetInCents)
                writer.member("completedAt", completed.time)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
    }

    private func span(_ query: QueryString) throws -> (Bucket, BucketedSpan) {
        var problems: [FieldError] = []
        let bucket = Bucket(rawValue: query["bucket"] ?? Bucket.day.rawValue)
        if bucket == nil { problems.append(FieldError(field: "bucket", detail: "must be 'hour', 'day' or 'week'")) }
        func time(_ name: String) -> Timestamp? {
            guard let text = query[name] else { return nil }
            let time = Timestamp(rfc3339: text)
            if time.map(Self.times.contains) != true {
                problems.append(
                    FieldError(
                        field: name, detail: "must be a time like 2026-01-31T12:00:00Z, of the years 2000 to 2099"))
            }
            return time
        }
        let from = time("from")
        let to = time("to")
        let offset = query["utcOffsetMinutes"].map { Int($0) } ?? 0
        if offset.map(Self.offsetMinutes.contains) != true {
            problems.append(
                FieldError(
                    field: "utcOffsetMinutes",
                    detail:
                        "must be a whole number from \(Self.offsetMinutes.lowerBound) to \(Self.offsetMinutes.upperBound)"
                ))
        }
        guard problems.isEmpty, let bucket, let offset else { throw InvalidInput(problems) }
        let end = to ?? clock.now().advanced(milliseconds: 1)
        let length = bucket.milliseconds
        let begin = from ?? max(Self.times.lowerBound, end.advanced(milliseconds: -(Self.defaultBuckets - 1) * length))
        guard begin <= end else { throw InvalidInput(field: "from", "must not lie behind 'to'") }
        // Buckets begin where hours, days and weeks do where the reader lives.
        let shift = Int64(offset) * 60_000 - (bucket == .week ? Self.firstMonday : 0)
        let local = begin.milliseconds + shift
        let start = Timestamp(milliseconds: begin.milliseconds - (local - Self.floor(local, to: length)))
        guard (end.milliseconds - start.milliseconds) / length < Int64(Limits.statisticsBuckets) else {
            throw InvalidInput(
                field: "from",
                "makes more than \(Limits.statisticsBuckets) buckets; ask for less, or for longer buckets")
        }
        return (bucket, BucketedSpan(from: start, to: end, bucket: length))
    }

    private static func floor(_ value: Int64, to step: Int64) -> Int64 {
        let rest = value % step
        return value - (rest < 0 ? rest + step : rest)
    }

    private static func write(
        _ sum: PageStatistics.Sum, from start: Timestamp? = nil, to writer: inout JSONWriter
    ) {
        writer.beginObject()
        if let start { writer.member("from", start.description) }
        writer.member("tips", sum.tips)
        writer.member("grossAmountInCents", sum.grossAmountInCents)
        writer.member("netAmountInCents", sum.grossAmountInCents - sum.feesInCents)
        writer.endObject()
    }
}
