import Foundation
import Testing
import TipwireCore

@testable import tipwire

@Suite struct BurstTests {
    @Test(
        "Only what a later attempt can change is sent again, a bounded number of times",
        arguments: [
            (1, RetryRule.Outcome.answered(status: 503, retryAfterSeconds: 1), Duration.seconds(1)),
            (1, .answered(status: 503, retryAfterSeconds: 3_600), .seconds(RetryRule.longestWaitSeconds)),
            (1, .answered(status: 503, retryAfterSeconds: -5), .zero),
            (RetryRule.attempts, .answered(status: 503, retryAfterSeconds: 1), nil),
            (1, .answered(status: 503, retryAfterSeconds: nil), nil),
            (1, .answered(status: 422, retryAfterSeconds: 1), nil),
            (1, .answered(status: 429, retryAfterSeconds: 1), nil),
            (1, .fault(.lost), .milliseconds(100)),
            (4, .fault(.lost), .milliseconds(800)),
            (1, .fault(.refused), nil),
            (1, .fault(.answerTimedOut), nil),
        ] as [(Int, RetryRule.Outcome, Duration?)])
    func retry(_ attempt: Int, _ outcome: RetryRule.Outcome, _ wait: Duration?) {
        #expect(RetryRule.wait(after: attempt, outcome) == wait)
    }

    @Test(
        "What may have been carried out without an answer is in doubt until an answer says otherwise",
        arguments: [
            ([.fault(.refused)], false), ([.fault(.lost)], true), ([.fault(.answerTimedOut)], true),
            ([.fault(.lost), .fault(.refused)], true),
            ([.fault(.lost), .answered(status: 401, retryAfterSeconds: nil)], true),
            ([.fault(.lost), .answered(status: 422, retryAfterSeconds: nil)], false),
            ([.answered(status: 503, retryAfterSeconds: 1)], true),
            ([.answered(status: 403, retryAfterSeconds: nil)], false),
        ] as [([RetryRule.Outcome], Bool)])
    func doubt(_ outcomes: [RetryRule.Outcome], _ isInDoubt: Bool) {
        #expect(outcomes.reduce(false) { RetryRule.isInDoubt(after: $1, before: $0) } == isInDoubt)
    }

    @Test("Tips are named by the caller's id or the run, and due by the rate from the start")
    func plan() throws {
        let id = try #require(TipIdentifier("gift"))
        let run = try #require(TipIdentifier("run"))
        let named = BurstPlan(count: 3, rate: 4, id: id, run: run)
        #expect((0..<3).map { named.name($0).text } == ["gift-1", "gift-2", "gift-3"])
        #expect((0..<3).map { named.due($0) } == [.zero, .milliseconds(250), .milliseconds(500)])
        let unnamed = BurstPlan(count: 3, rate: nil, id: nil, run: run)
        #expect(unnamed.name(2).text == "run-3")
        #expect(unnamed.due(2) == .zero)
    }

    @Test("An id that would grow too long is told before anything is sent")
    func length() throws {
        let longest = try #require(TipIdentifier(String(repeating: "x", count: Limits.identifierCharacters - 2)))
        #expect(BurstPlan.fits(id: longest, count: 9))
        #expect(!BurstPlan.fits(id: longest, count: 10))
    }

    private static func tally(milliseconds: [Int]) -> BurstTally {
        var tally = BurstTally(count: 200)
        for time in milliseconds {
            tally.send()
            tally.acknowledge(
                Acknowledgement(
                    answer: APIAnswer(status: 201, location: nil, retryAfterSeconds: nil, body: Data()),
                    answerTime: .milliseconds(time), retries: 0))
        }
        return tally
    }

    @Test("Percentiles are of the nearest rank, whatever the order")
    func percentiles() {
        let tally = Self.tally(milliseconds: Array((1...100).reversed()))
        #expect(tally.percentile(50) == 50)
        #expect(tally.percentile(99) == 99)
        #expect(Self.tally(milliseconds: [7]).percentile(99) == 7)
        #expect(BurstTally(count: 1).percentile(50) == nil)
    }

    @Test("Progress and summary count what was sent, acknowledged, repeated and failed")
    func words() {
        var tally = Self.tally(milliseconds: [2, 4])
        tally.send()
        #expect(tally.progress(after: .seconds(1)) == "sent 3/200 · acknowledged 2 · 2.0/s · failures 0")
        tally.acknowledge(
            Acknowledgement(
                answer: APIAnswer(status: 200, location: nil, retryAfterSeconds: nil, body: Data()),
                answerTime: .milliseconds(9), retries: 2))
        tally.send()
        tally.fail()
        #expect(
            tally.summary(after: .seconds(2)) == "3 tips acknowledged in 2.0 s · 1.5/s · "
                + "answer time p50 4.0 ms, p99 9.0 ms · failures 1 · sent again 2 · already there 1")
    }
}
