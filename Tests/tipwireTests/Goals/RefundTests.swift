import Foundation
import Testing

@testable import tipwire

@Suite struct RefundTests {
    private static func line(events: String) throws -> String {
        let body = """
            {"tip":{"id":"t1","page":"demo","displayName":"Ada","message":"","grossAmountInCents":7000,\
            "processingFeeInCents":0,"netAmountInCents":7000,"currency":"USD","isAnonymous":false,\
            "createdAt":"2026-07-01T15:04:05.000Z","processedAt":"2026-07-01T15:04:05.000Z",\
            "refundedAt":"2026-07-02T15:04:05.000Z"},"events":[\(events)],"cursor":"e-9"}
            """
        return RefundCommand.line(try JSONDecoder().decode(RefundAnswer.self, from: Data(body.utf8)))
    }

    private static let refunded = #"{"cursor":"e-8","type":"tip.refunded","data":{"id":"t1"}}"#

    private static func queue(taken: String) -> String {
        #"{"cursor":"e-9","type":"goal.queue","data":{"change":{"kind":"refunded","taken":[\#(taken)]}}}"#
    }

    @Test("A refund says what the goals lost by it")
    func goals() throws {
        let first = #"{"goalId":"g1","amountInCents":620}"#
        let second = #"{"goalId":"g2","amountInCents":80}"#
        #expect(
            try Self.line(events: Self.refunded + "," + Self.queue(taken: first))
                == "refunded $70.00 from Ada on demo · 1 goal lost $6.20 · tip t1 · cursor e-9\n")
        #expect(
            try Self.line(events: Self.refunded + "," + Self.queue(taken: first + "," + second))
                == "refunded $70.00 from Ada on demo · 2 goals lost $7.00 · tip t1 · cursor e-9\n")
    }

    @Test("When none did, it says so")
    func noGoal() throws {
        #expect(
            try Self.line(events: Self.refunded)
                == "refunded $70.00 from Ada on demo · no goal lost anything · tip t1 · cursor e-9\n")
    }
}
