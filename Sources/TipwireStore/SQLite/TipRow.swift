import GRDB
import TipwireCore

/// A row of `tips`.
struct TipRow {
    let tip: Tip
    /// The caller's `createdAt`, nil if there was none; `Tip.isRepeated` needs it.
    let statedCreatedAt: Timestamp?
    /// The events that the tip caused when it was new.
    let sequences: ClosedRange<Int64>

    static let columns = """
        id, display_name, message, gross, fee, is_anonymous, created_at, processed_at, refunded_at, stated_created_at, \
        first_sequence, last_sequence
        """

    init(_ row: Row) throws {
        guard let id = TipIdentifier(row[0]) else { throw DamagedRow(table: "tips", problem: "bad id") }
        tip = Tip(
            id: id, displayName: row[1], message: row[2], grossAmountInCents: row[3], processingFeeInCents: row[4],
            isAnonymous: row[5], createdAt: Timestamp(milliseconds: row[6]),
            processedAt: Timestamp(milliseconds: row[7]), refundedAt: row.time(8))
        statedCreatedAt = row.time(9)
        sequences = row[10]...row[11]
    }

    var stored: StoredTip { StoredTip(tip: tip, sequence: sequences.upperBound) }
}

extension Row {
    func time(_ column: Int) -> Timestamp? {
        (self[column] as Int64?).map(Timestamp.init(milliseconds:))
    }
}
