/// A page that people tip to. Everything that happens belongs to exactly one page.
public struct Page: Hashable, Sendable, Identifiable {
    /// The row in the store, and the page's public profile number. Never used again for another page.
    public struct ID: Hashable, Sendable, RawRepresentable {
        public let rawValue: Int64
        public init(rawValue: Int64) { self.rawValue = rawValue }
    }

    public let id: ID
    /// What the feeds and the API show as `id`: `<milliseconds>x<18 digits>`.
    public let publicID: String
    public let slug: Slug
    public var title: String
    /// The address that the owner gave; nil means the server's own `/p/<slug>`.
    public var customURL: String?
    public var currency: Currency
    public let owner: Account.ID
    /// What its alert boxes have been told.
    public var alerts: AlertSwitches
    /// Accounts that may do what the owner may, but delete the page or change its members.
    public var members: Set<Account.ID>
    public let createdAt: Timestamp

    public init(
        id: ID, publicID: String, slug: Slug, title: String, customURL: String?, currency: Currency,
        owner: Account.ID, members: Set<Account.ID>, alerts: AlertSwitches = AlertSwitches(), createdAt: Timestamp
    ) {
        self.id = id
        self.publicID = publicID
        self.slug = slug
        self.title = title
        self.customURL = customURL
        self.currency = currency
        self.owner = owner
        self.members = members
        self.alerts = alerts
        self.createdAt = createdAt
    }

    /// The address that feeds show.
    public func url(publicURL: String) -> String {
        customURL ?? "\(publicURL)/p/\(slug)"
    }

    /// What an account is to this page.
    public enum Role: String, Sendable {
        case owner
        case member
    }

    public func role(of account: Account.ID) -> Role? {
        if account == owner { return .owner }
        return members.contains(account) ? .member : nil
    }
}
