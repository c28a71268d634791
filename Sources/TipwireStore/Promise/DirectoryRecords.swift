import TipwireCore

/// Accounts, pages and keys at one moment.
public struct DirectorySnapshot: Sendable {
    public let accounts: [Account]
    public let pages: [Page]
    public let keys: [KeyRecord]
    /// Counts the changes, where other processes make some; see `EventSlice`.
    public let version: Int64

    public init(accounts: [Account], pages: [Page], keys: [KeyRecord], version: Int64 = 0) {
        self.accounts = accounts
        self.pages = pages
        self.keys = keys
        self.version = version
    }
}

public struct NewAccount: Sendable {
    public let name: Slug
    public let passwordHash: String?
    public let createdAt: Timestamp

    public init(name: Slug, passwordHash: String?, createdAt: Timestamp) {
        self.name = name
        self.passwordHash = passwordHash
        self.createdAt = createdAt
    }
}

public struct NewPage: Sendable {
    public let slug: Slug
    public let title: String
    public let customURL: String?
    public let currency: Currency
    public let owner: Account.ID
    public let createdAt: Timestamp

    public init(
        slug: Slug, title: String, customURL: String?, currency: Currency, owner: Account.ID, createdAt: Timestamp
    ) {
        self.slug = slug
        self.title = title
        self.customURL = customURL
        self.currency = currency
        self.owner = owner
        self.createdAt = createdAt
    }
}

public struct SessionRecord: Sendable, Equatable {
    public let account: Account.ID
    public let expiresAt: Timestamp

    public init(account: Account.ID, expiresAt: Timestamp) {
        self.account = account
        self.expiresAt = expiresAt
    }
}

/// Why the directory was not changed.
public enum DirectoryRefusal: Error, Sendable, Equatable {
    case taken
    case currencyInUse
    /// The account or page that a row refers to is gone.
    case missingReference
}

/// The store itself can't be used; the text is one line for the operator.
public struct StoreUnusable: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
