/// What the store keeps of an API key: everything but the key.
public struct KeyRecord: Hashable, Sendable, Identifiable {
    public let id: String
    public let prefix: String
    public let hash: SecretHash
    public let name: String
    public let account: Account.ID
    public let scopes: [Scope]
    /// The only pages this key sees; nil: all that its account may see.
    public let pages: Set<Page.ID>?
    public let createdAt: Timestamp
    public let expiresAt: Timestamp?
    public var lastUsedAt: Timestamp?

    public init(
        id: String, prefix: String, hash: SecretHash, name: String, account: Account.ID, scopes: [Scope],
        pages: Set<Page.ID>?, createdAt: Timestamp, expiresAt: Timestamp?, lastUsedAt: Timestamp? = nil
    ) {
        self.id = id
        self.prefix = prefix
        self.hash = hash
        self.name = name
        self.account = account
        self.scopes = scopes
        self.pages = pages
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
    }

    /// The key after a page is gone. It stays limited, if need be to nothing.
    public func without(page: Page.ID) -> KeyRecord {
        KeyRecord(
            id: id, prefix: prefix, hash: hash, name: name, account: account, scopes: scopes,
            pages: pages?.subtracting([page]), createdAt: createdAt, expiresAt: expiresAt, lastUsedAt: lastUsedAt)
    }

    /// An expiry is reached at its very millisecond.
    public func isExpired(at now: Timestamp) -> Bool {
        expiresAt.map { $0 <= now } ?? false
    }
}
