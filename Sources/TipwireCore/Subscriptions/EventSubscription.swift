/// Someone's wish to be told of one type of event on one page.
public struct EventSubscription: Hashable, Sendable, Identifiable {
    /// `<n>-<n>-<created at>:<n>-<16 hex>`. Whoever has it may connect as this subscription.
    public let id: String
    public let page: Page.ID
    public let account: Account.ID
    /// The key that made it, and with which it ends; nil when a signed-in browser did.
    public let key: String?
    public let type: EventSubType
    public let condition: EventSubCondition?
    public let createdAt: Timestamp

    public init(
        id: String, page: Page.ID, account: Account.ID, key: String?, type: EventSubType,
        condition: EventSubCondition?, createdAt: Timestamp
    ) {
        self.id = id
        self.page = page
        self.account = account
        self.key = key
        self.type = type
        self.condition = condition
        self.createdAt = createdAt
    }

    /// A new id: account, page, creation and a number within this process for people to read, and 64 random bits that
    /// nobody guesses.
    public static func makeID(account: Account.ID, page: Page.ID, createdAt: Timestamp, number: Int) -> String {
        "\(account.rawValue)-\(page.rawValue)-\(createdAt.unixSeconds):\(number)-\(SecretHash.randomHex(bytes: 8))"
    }
}
