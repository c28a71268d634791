import NIOCore
import TipwireCore
import TipwireWire

/// The one row of `log`: where the log stands.
package struct LogRow: Sendable {
    package var epoch: String
    package var head: Int64
    package var prunedThrough: Int64
    /// The latest commit that added events; 1970 before the first.
    package var committedAt: Timestamp
    package var events: Int64
    package var bytes: Int64

    package init(
        epoch: String, head: Int64, prunedThrough: Int64, committedAt: Timestamp, events: Int64, bytes: Int64
    ) {
        self.epoch = epoch
        self.head = head
        self.prunedThrough = prunedThrough
        self.committedAt = committedAt
        self.events = events
        self.bytes = bytes
    }

    /// Bytes that retention by size counts for each event beside its data: about what the row's other columns and its
    /// index entry take.
    package static let allowancePerEvent: Int64 = 64

    package var bounds: LogBounds { LogBounds(epoch: epoch, head: head, prunedThrough: prunedThrough) }
}

/// A row of `tips`.
package struct TipRow: Sendable {
    package var tip: Tip
    /// The caller's `createdAt`, nil if there was none; `Tip.isRepeated` needs it.
    package let statedCreatedAt: Timestamp?
    /// The events that the tip caused when it was new.
    package let sequences: ClosedRange<Int64>
    /// Those of its refund.
    package var refundSequences: ClosedRange<Int64>?
    /// What it gave to goals, as stored: only a refund asks what it says.
    package let creditsText: String?

    package init(
        tip: Tip, statedCreatedAt: Timestamp?, sequences: ClosedRange<Int64>, refundSequences: ClosedRange<Int64>?,
        creditsText: String?
    ) {
        self.tip = tip
        self.statedCreatedAt = statedCreatedAt
        self.sequences = sequences
        self.refundSequences = refundSequences
        self.creditsText = creditsText
    }

    package func credits() throws -> [GoalCredit] { try GoalCredits.decode(creditsText) }

    package var stored: StoredTip { StoredTip(tip: tip, sequence: sequences.upperBound) }
}

/// A row of `corrections`: what a refund or an adjustment that came with an `Idempotency-Key` did.
package enum CorrectionRow: Sendable {
    case refund(TipIdentifier)
    case adjustment(Adjustment)

    package struct Adjustment: Sendable {
        package let goal: Goal.ID
        package let amountInCents: Int
        package let reason: String
        /// The goal as the answer had it.
        package let answer: ListedGoal
        package let sequences: ClosedRange<Int64>

        package init(
            goal: Goal.ID, amountInCents: Int, reason: String, answer: ListedGoal, sequences: ClosedRange<Int64>
        ) {
            self.goal = goal
            self.amountInCents = amountInCents
            self.reason = reason
            self.answer = answer
            self.sequences = sequences
        }

        func isRepeated(by command: GoalCommand) -> Bool {
            guard case .adjust(let id, let amount, let text) = command else { return false }
            // By bytes, as with tips: two spellings of one letter are other content.
            return id == goal && amount == amountInCents && text.utf8.elementsEqual(reason.utf8)
        }
    }
}

/// What a tip gave to goals, as `tips.credits` has it: `{"<goal id>":500}`, in the order of giving.
package enum GoalCredits {
    /// Nil for none: most pages have no goals, and their tips carry no empty object.
    package static func encode(_ credits: [GoalCredit]) -> String? {
        guard !credits.isEmpty else { return nil }
        var writer = JSONWriter(capacity: 64)
        writer.beginObject()
        for credit in credits {
            writer.key(credit.goal)
            writer.value(credit.amountInCents)
        }
        writer.endObject()
        return String(buffer: writer.finish())
    }

    package static func decode(_ text: String?) throws -> [GoalCredit] {
        guard let text else { return [] }
        guard case .object(let object)? = try? JSONValue.parse(text) else {
            throw DamagedRow(table: "tips", problem: "bad credits")
        }
        return try object.members.map { member in
            guard case .number(let number) = member.value, let amount = number.integer else {
                throw DamagedRow(table: "tips", problem: "bad credits")
            }
            return GoalCredit(goal: member.name, amountInCents: amount)
        }
    }
}

extension DeliveryState {
    /// What the columns `state`, `due_at` and `reason` say.
    package var columns: (state: String, due: Int64?, reason: String?) {
        switch self {
        case .first: (kind.rawValue, 0, nil)
        case .retry(let due): (kind.rawValue, max(due.milliseconds, 1), nil)
        case .delivered: (kind.rawValue, nil, nil)
        case .dead(let reason): (kind.rawValue, nil, reason.rawValue)
        }
    }

    /// What they say; nothing else may stand there.
    package init(_ state: String, due: Int64?, reason: String?) throws {
        switch (state, due, reason.map(DeadLetterReason.init(rawValue:))) {
        case ("pending", 0?, nil): self = .first
        case ("pending", let due?, nil): self = .retry(due: Timestamp(milliseconds: due))
        case ("delivered", nil, nil): self = .delivered
        case ("dead", nil, let reason??): self = .dead(reason)
        default: throw DamagedRow(table: "webhook_deliveries", problem: "unknown state")
        }
    }
}

/// A row holds what this program never writes: the store is damaged, or was edited by hand.
package struct DamagedRow: Error, CustomStringConvertible {
    package let table: String
    package let problem: String

    package init(table: String, problem: String) {
        self.table = table
        self.problem = problem
    }

    package var description: String { "table '\(table)' can't be read: \(problem)" }
}
