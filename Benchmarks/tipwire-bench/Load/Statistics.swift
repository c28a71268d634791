/// Median, least and greatest of a few runs: what is reported of every figure.
struct Spread: Codable {
    var median: Double
    var least: Double
    var greatest: Double

    /// Nil for no values. Of an even number of values the median is the mean of the middle two.
    init?(_ values: [Double]) {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        least = sorted[0]
        greatest = sorted[sorted.count - 1]
    }
}

/// Durations, kept one by one: a few hundred thousand at most, so no estimate is needed for a percentile.
struct Latencies {
    private(set) var microseconds: [UInt32] = []

    mutating func record(nanoseconds: Int64) {
        microseconds.append(UInt32(clamping: max(0, nanoseconds) / 1_000))
    }

    /// Milliseconds that each of these shares of all stayed within (nearest rank).
    func milliseconds(at shares: [Double]) -> [Double] {
        guard !microseconds.isEmpty else { return shares.map { _ in 0 } }
        let sorted = microseconds.sorted()
        return shares.map { share in
            let rank = Int((share * Double(sorted.count)).rounded(.up))
            return Double(sorted[min(max(rank, 1), sorted.count) - 1]) / 1_000
        }
    }
}
