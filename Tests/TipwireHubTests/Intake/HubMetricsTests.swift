import Testing

@testable import TipwireHub

@Suite("HubMetrics")
struct HubMetricsTests {
    @Test("A duration counts in every bucket whose bound it doesn't pass, and always in the last")
    func histogram() {
        let histogram = DurationHistogram()
        histogram.observe(.microseconds(500))
        histogram.observe(.milliseconds(30))
        histogram.observe(.seconds(3))
        let reading = histogram.reading
        #expect(reading.buckets == [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3])
        #expect(abs(reading.sum - 3.0305) < 1e-9)
    }

    @Test("A counter counts from everywhere at once")
    func counter() async {
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 { group.addTask { counter.add(2) } }
        }
        #expect(counter.value == 100)
    }
}
