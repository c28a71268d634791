import GRDB
import TipwireCore

/// A row of `tips`.
struct TipRow {
    let tip: Tip
    /// The caller's `createdAt`, nil if there was none; `Tip.isRepeated` needs it.
    let statedCreatedAt: Timestamp?
    /// The events that the tip caused when it was new.
    let sequences: ClosedRange<Int64>
    /// Those of its refund.
    let refundSequences: ClosedRange<Int64>?
    /// What it gave to goals, as stored: only a refund asks what it says.
    private let creditsText: String?

    static let columns = """
        id, display_name, message, gross, fee, is_anonymous, created_at, processed_at, refunded_at, stated_created_at, \
        first_sequence, last_sequence, refund_first_sequence, refund_last_sequence, credits
        """

    init(_ row: Row) throws {
        guard let id = TipIdentifier(row[0]) else { throw DamagedRow(table: "tips", problem: "bad id") }
        tip = Tip(
            id: id, displayName: row[1], message: row[2], grossAmountInCents: row[3], processingFeeInCents: row[4],
            isAnonymous: row[5], createdAt: Timestamp(milliseconds: row[6]),
            processedAt: Timestamp(milliseconds: row[7]), refundedAt: row.time(8))
        statedCreatedAt = row.time(9)
        sequences = row[10]...row[11]
        if let first = row[12] as Int64?, let last = row[13] as Int64? {
            refundSequences = first...last
        } else {
            refundSequences = nil
        }
        creditsText = row[14]
    }

    func credits() throws -> [GoalCredit] { try GoalCredits.decode(creditsText) }

    var stored: StoredTip { StoredTip(tip: tip, sequence: sequences.upperBound) }
}

extension Row {
    func time(_ column: Int) -> Timestamp? {
        (self[column] as Int64?).map(Timestamp.init(milliseconds:))
    }
}
