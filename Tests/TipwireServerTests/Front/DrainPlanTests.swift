import NIOCore
import Testing

@testable import TipwireServer

@Suite("Turns in a shutdown")
struct DrainPlanTests {
    @Test(
        "Turns are spread over a second for each thousand streams, and over 60 % of the drain's time at most",
        arguments: [
            (streams: 1_000, seconds: 30, span: TimeAmount.seconds(1)),
            (streams: 10, seconds: 30, span: .milliseconds(10)),
            (streams: 5_000, seconds: 5, span: .seconds(3)),
            (streams: 5_000, seconds: 0, span: .zero),
        ])
    func spread(streams: Int, seconds: Int, span: TimeAmount) {
        let quota = StreamQuota(maximum: streams)
        let permits = (0..<streams).compactMap { _ in quota.take() }
        let plan = DrainPlan(quota: quota, seconds: seconds)
        let turns = (0..<1_000).map { _ in plan.turn() }
        #expect(turns.allSatisfy { $0 >= .zero && $0 <= span })
        // Of a thousand random turns a tenth of the span is missed by all with a chance of 10^-46.
        for tenth in 0..<10 where span > .zero {
            let from = TimeAmount.nanoseconds(span.nanoseconds / 10 * Int64(tenth))
            let to = TimeAmount.nanoseconds(span.nanoseconds / 10 * Int64(tenth + 1))
            #expect(turns.contains { $0 >= from && $0 <= to }, "nobody's turn is in tenth \(tenth)")
        }
        withExtendedLifetime(permits) {}
    }

    @Test("The span is settled by the first that asks: who asks late, when many have gone, isn't hurried")
    func settled() {
        let quota = StreamQuota(maximum: 10_000)
        var permits = (0..<10_000).compactMap { _ in quota.take() }
        let plan = DrainPlan(quota: quota, seconds: 30)
        _ = plan.turn()
        permits.removeAll()
        #expect(quota.count == 0)
        #expect((0..<1_000).contains { _ in plan.turn() > .seconds(1) })
    }
}
