import Testing
import TipwireHub

@testable import TipwireServer

@Suite("The text format of metrics")
struct MetricsPageTests {
    @Test("A family has its help, its type, and its samples with labels in order")
    func families() {
        var page = MetricsPage()
        page.counter("a_total", "As.", 3)
        page.gauge("b", "Bs.", labels: ["z": "1", "kind": "feed"], -2)
        page.counters("c_total", "Cs.", label: "reason", [("x", 1), ("y", 2)])
        page.counters("d_total", "Ds.", label: "reason", [])
        #expect(
            page.text == """
                # HELP a_total As.
                # TYPE a_total counter
                a_total 3
                # HELP b Bs.
                # TYPE b gauge
                b{kind="feed",z="1"} -2
                # HELP c_total Cs.
                # TYPE c_total counter
                c_total{reason="x"} 1
                c_total{reason="y"} 2
                # HELP d_total Ds.
                # TYPE d_total counter

                """)
    }

    @Test("What has a meaning in a label's value is escaped; two labels and fractions have their form")
    func labels() {
        var page = MetricsPage()
        page.gauge("a", "As.", labels: ["x": "\"\\\n"], 1)
        page.gauges("b", "Bs.", labels: ("kind", "state"), [("feed", "live", 2)])
        page.counter("c_total", "Cs.", 0.25)
        #expect(
            page.text.split(separator: "\n").filter { !$0.hasPrefix("#") } == [
                #"a{x="\"\\\n"} 1"#, #"b{kind="feed",state="live"} 2"#, "c_total 0.25",
            ])
    }

    @Test("Answers are counted by the statuses that the program knows, all others under one word")
    func responses() {
        let counts = ResponseCounts()
        for status in [200, 200, 422, 418, 599] { counts.count(status, took: .milliseconds(1)) }
        let reading = Dictionary(uniqueKeysWithValues: counts.reading.map { ($0.status, $0.count) })
        #expect(reading["200"] == 2 && reading["422"] == 1 && reading["other"] == 2 && reading["404"] == 0)
        #expect(reading.count == ResponseCounts.statuses.count + 1)
        #expect(counts.seconds.reading.buckets.last == 5)
    }

    @Test("A histogram is cumulative, ends at +Inf, and has sum and count")
    func histogram() {
        let durations = DurationHistogram()
        durations.observe(.microseconds(500))
        durations.observe(.milliseconds(30))
        durations.observe(.seconds(4))
        var page = MetricsPage()
        page.histogram("d_seconds", "Ds.", durations.reading)
        let lines = page.text.split(separator: "\n")
        #expect(
            lines.prefix(3) == [
                "# HELP d_seconds Ds.", "# TYPE d_seconds histogram", #"d_seconds_bucket{le="0.0005"} 1"#,
            ])
        #expect(lines.contains(#"d_seconds_bucket{le="0.025"} 1"#))
        #expect(lines.contains(#"d_seconds_bucket{le="0.05"} 2"#))
        #expect(lines.contains(#"d_seconds_bucket{le="2.5"} 2"#))
        #expect(lines.suffix(3).first == #"d_seconds_bucket{le="+Inf"} 3"#)
        #expect(lines.last == "d_seconds_count 3")
        let sum = lines.dropLast().last?.split(separator: " ")
        #expect(
            sum?.first == "d_seconds_sum" && sum?.last.flatMap { Double($0) }.map { abs($0 - 4.0305) < 1e-9 } == true)
        #expect(lines.count == 2 + DurationHistogram.bounds.count + 1 + 2)
    }
}
