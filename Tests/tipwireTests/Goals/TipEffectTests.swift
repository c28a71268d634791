import Foundation
import Testing

@testable import tipwire

/// The line about a tip, from answers as the API gives them.
@Suite struct TipEffectTests {
    private static func line(_ events: String..., isRepeat: Bool = false) throws -> String {
        let body = """
            {"tip":{"id":"t1","page":"demo","displayName":"Grace","message":"","grossAmountInCents":2300,\
            "processingFeeInCents":0,"netAmountInCents":2300,"currency":"USD","isAnonymous":false,\
            "createdAt":"2026-07-01T15:04:05.000Z","processedAt":"2026-07-01T15:04:05.000Z","refundedAt":null},\
            "events":[\(events.joined(separator: ","))],"cursor":"e-9"}
            """
        return TipCommand.line(try JSONDecoder().decode(TipAnswer.self, from: Data(body.utf8)), isRepeat: isRepeat)
    }

    private static func received(_ goal: String) -> String {
        #"{"cursor":"e-7","type":"tip.received","page":"demo","data":{"id":"t1",\#(goal)}}"#
    }

    private static func completed(_ name: String, over: Int, next: String?) -> String {
        let next = next.map { #"{"id":"g2","description":"\#($0)","amount":5000,"progress":300}"# } ?? "null"
        return #"{"cursor":"e-8","type":"goal.completed","data":{"goalId":"g1","goalName":"\#(name)","#
            + #""goalTarget":2000,"overflowAmount":\#(over),"nextGoal":\#(next),"chainIndex":0,"chainTotal":1}}"#
    }

    private static let filled = received(#""goalId":"g1","goalProgress":2000,"goalTarget":2000"#)
    private static let queue =
        #"{"cursor":"e-9","type":"goal.queue","data":{"activeGoal":null,"change":{"kind":"tip"}}}"#

    @Test("A tip that completes a goal says which, and where the rest of it went")
    func completion() throws {
        #expect(
            try Self.line(Self.filled, Self.completed("Mic\\u0007", over: 300, next: "Lights"), Self.queue)
                == #"$23.00 from Grace to demo · completed "Mic\u{7}" · $3.00 to "Lights" · tip t1 · cursor e-9"#
                + "\n")
    }

    @Test("A chain names all its goals, and what none of them took")
    func chain() throws {
        #expect(
            try Self.line(
                Self.filled, Self.completed("Mic", over: 1_500, next: "Lights"),
                Self.completed("Lights", over: 500, next: nil), Self.queue)
                == #"$23.00 from Grace to demo · completed "Mic", "Lights" · $5.00 over · tip t1 · cursor e-9"#
                + "\n")
    }

    @Test("An exact hit leaves nothing to tell of")
    func exact() throws {
        #expect(
            try Self.line(Self.filled, Self.completed("Mic", over: 0, next: "Lights"), isRepeat: true)
                == #"$23.00 from Grace to demo · completed "Mic" · tip t1 · cursor e-9 · already there"#
                + "\n")
    }

    @Test("A tip that completes nothing tells how far its goal is, and one without a goal nothing")
    func progress() throws {
        #expect(
            try Self.line(Self.received(#""goalId":"g1","goalProgress":500,"goalTarget":2000"#))
                == "$23.00 from Grace to demo · goal $5.00 of $20.00 (25%) · tip t1 · cursor e-9\n")
        #expect(
            try Self.line(Self.received(#""goalId":null,"goalProgress":null,"goalTarget":null"#))
                == "$23.00 from Grace to demo · tip t1 · cursor e-9\n")
    }
}
