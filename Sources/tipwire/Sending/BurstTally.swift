/// Counts of a running burst, and how they read.
struct BurstTally: Sendable {
    let count: Int
    private(set) var sent = 0
    private(set) var acknowledged = 0
    private(set) var repeats = 0
    private(set) var retries = 0
    private(set) var failures = 0
    private var answerMilliseconds: [Double] = []

    init(count: Int) {
        self.count = count
    }

    mutating func send() { sent += 1 }

    mutating func acknowledge(_ acknowledgement: Acknowledgement) {
        acknowledged += 1
        repeats += acknowledgement.isRepeat ? 1 : 0
        retries += acknowledgement.retries
        answerMilliseconds.append(acknowledgement.answerTime.milliseconds)
    }

    mutating func fail() { failures += 1 }

    /// The value that `percent` of the answers were not slower than, in milliseconds (nearest rank); nil without any.
    func percentile(_ percent: Double) -> Double? {
        let sorted = answerMilliseconds.sorted()
        guard !sorted.isEmpty else { return nil }
        let rank = Int((percent / 100 * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    /// `sent 120/1000 · acknowledged 118 · 59.0/s · failures 0`
    func progress(after elapsed: Duration) -> String {
        "sent \(sent)/\(count) · acknowledged \(acknowledged) · \(rate(after: elapsed))/s · failures \(failures)"
    }

    /// `1000 tips acknowledged in 2.1 s · 476.2/s · answer time p50 3.1 ms, p99 9.8 ms · failures 0`, and what else
    /// there was.
    func summary(after elapsed: Duration) -> String {
        var parts = [
            "\(acknowledged) \(acknowledged == 1 ? "tip" : "tips") acknowledged in \(Wording.seconds(elapsed))",
            "\(rate(after: elapsed))/s",
        ]
        if let p50 = percentile(50), let p99 = percentile(99) {
            parts.append("answer time p50 \(Wording.tenths(p50)) ms, p99 \(Wording.tenths(p99)) ms")
        }
        parts.append("failures \(failures)")
        if retries > 0 { parts.append("sent again \(retries)") }
        if repeats > 0 { parts.append("already there \(repeats)") }
        return parts.joined(separator: " · ")
    }

    private func rate(after elapsed: Duration) -> String {
        Wording.tenths(Double(acknowledged) / max(elapsed.milliseconds / 1_000, 0.001))
    }
}
