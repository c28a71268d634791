import Logging
import TipwireCore

/// 2026-03-01T12:00:00.000Z
let noon = Timestamp(milliseconds: 1_772_366_400_000)
let silence = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func event(_ sequence: Int64, message: String = "Hi \u{1F389}") -> Event {
    Event(
        sequence: sequence, page: Page.ID(rawValue: 7), time: noon,
        body: .tipReceived(
            Tip(
                id: TipIdentifier("tip-\(sequence)")!, displayName: "Jamie", message: message,
                grossAmountInCents: 500, processingFeeInCents: 20, isAnonymous: false, createdAt: noon,
                processedAt: noon, refundedAt: nil),
            goal: GoalStanding(id: "g1", progressInCents: 5, targetInCents: 10)))
}

func events(_ range: ClosedRange<Int64>) -> [Event] { range.map { event($0) } }
