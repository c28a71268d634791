/// Someone who owns pages and keys.
public struct Account: Hashable, Sendable, Identifiable {
    /// The row in the store. Never shown; never used again for another account.
    public struct ID: Hashable, Sendable, RawRepresentable {
        public let rawValue: Int64
        public init(rawValue: Int64) { self.rawValue = rawValue }
    }

    public let id: ID
    /// What the API shows as `id`.
    public let publicID: String
    /// What the API takes wherever it says `owner` or `account`.
    public let name: Slug
    public let createdAt: Timestamp

    public init(id: ID, publicID: String, name: Slug, createdAt: Timestamp) {
        self.id = id
        self.publicID = publicID
        self.name = name
        self.createdAt = createdAt
    }
}
