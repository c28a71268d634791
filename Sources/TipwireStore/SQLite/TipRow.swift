import GRDB
import TipwireCore

extension TipRow {
    static let columns = """
        id, display_name, message, gross, fee, is_anonymous, created_at, processed_at, refunded_at, stated_created_at, \
        first_sequence, last_sequence, refund_first_sequence, refund_last_sequence, credits
        """

    init(_ row: Row) throws {
        guard let id = TipIdentifier(row[0]) else { throw DamagedRow(table: "tips", problem: "bad id") }
        var refund: ClosedRange<Int64>?
        if let first = row[12] as Int64?, let last = row[13] as Int64? { refund = first...last }
        self.init(
            tip: Tip(
                id: id, displayName: row[1], message: row[2], grossAmountInCents: row[3],
                processingFeeInCents: row[4], isAnonymous: row[5], createdAt: Timestamp(milliseconds: row[6]),
                processedAt: Timestamp(milliseconds: row[7]), refundedAt: row.time(8)),
            statedCreatedAt: row.time(9), sequences: row[10]...row[11], refundSequences: refund, creditsText: row[14])
    }
}

extension Row {
    func time(_ column: Int) -> Timestamp? {
        (self[column] as Int64?).map(Timestamp.init(milliseconds:))
    }
}
