import TipwireCore

/// What charts are drawn from. Tips that were refunded are in none of it.
public protocol StatisticsStore: Sendable {
    /// - Parameter span: when the tips were committed, cut into buckets; at most `Limits.statisticsBuckets`.
    func statistics(page: Page.ID, over span: BucketedSpan) async throws -> PageStatistics
}

/// A stretch of time in parts of one length.
public struct BucketedSpan: Hashable, Sendable {
    public let from: Timestamp
    /// Not part of it.
    public let to: Timestamp
    /// Milliseconds of each bucket; the last may be cut short.
    public let bucket: Int64

    public init(from: Timestamp, to: Timestamp, bucket: Int64) {
        precondition(bucket > 0 && from <= to)
        self.from = from
        self.to = to
        self.bucket = bucket
    }

    public var count: Int { Int((to.milliseconds - from.milliseconds + bucket - 1) / bucket) }

    public func start(of index: Int) -> Timestamp { from.advanced(milliseconds: Int64(index) * bucket) }
}

public struct PageStatistics: Sendable {
    public struct Sum: Hashable, Sendable {
        public var tips = 0
        public var grossAmountInCents = 0
        public var feesInCents = 0

        public init() {}

        public init(tips: Int, grossAmountInCents: Int, feesInCents: Int) {
            self.tips = tips
            self.grossAmountInCents = grossAmountInCents
            self.feesInCents = feesInCents
        }
    }

    public struct Supporter: Hashable, Sendable {
        /// Empty for all anonymous ones together.
        public let displayName: String
        public let tips: Int
        public let grossAmountInCents: Int

        public init(displayName: String, tips: Int, grossAmountInCents: Int) {
            self.displayName = displayName
            self.tips = tips
            self.grossAmountInCents = grossAmountInCents
        }
    }

    /// One for each bucket, empty ones too.
    public let buckets: [Sum]
    public let total: Sum
    /// Those who gave most, most first.
    public let supporters: [Supporter]
    /// Goals that were completed, as far as the log still tells; newest first.
    public let completions: [Completion]

    public struct Completion: Hashable, Sendable {
        public let completion: GoalCompletion
        public let time: Timestamp

        public init(completion: GoalCompletion, time: Timestamp) {
            self.completion = completion
            self.time = time
        }
    }

    public init(buckets: [Sum], total: Sum, supporters: [Supporter], completions: [Completion]) {
        self.buckets = buckets
        self.total = total
        self.supporters = supporters
        self.completions = completions
    }
}
