import TipwireCore
import TipwireStore

extension EventSubscription {
    /// The columns that `init(_: PostgresRow, table:)` reads, and that `arguments` fills, in this order.
    static let columns = "id, page_id, account_id, key_id, type, minimum_amount, minimum_cents, created_at"

    init(_ row: PostgresRow, table: String) throws {
        guard let type = EventSubType(rawValue: row[4]) else {
            throw DamagedRow(table: table, problem: "unknown type")
        }
        var condition: EventSubCondition?
        if let text = row[5] as String?, let cents = row[6] as Int? {
            condition = EventSubCondition(minimumAmountInCents: cents, minimumAmount: text)
        }
        self.init(
            id: row[0], page: Page.ID(rawValue: row[1]), account: Account.ID(rawValue: row[2]), key: row[3], type: type,
            condition: condition, createdAt: Timestamp(milliseconds: row[7]))
    }

    var arguments: [any PostgresEncodable] {
        [
            id, page.rawValue, account.rawValue, key, type.rawValue, condition?.minimumAmount,
            condition?.minimumAmountInCents, createdAt.milliseconds,
        ]
    }
}
