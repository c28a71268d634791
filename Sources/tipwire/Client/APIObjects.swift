/// What the commands read of the API's answers. Members that nothing shows aren't here, and unknown ones don't matter,
/// so that an older command line keeps working with a newer server.
struct ListAnswer<Row: Decodable>: Decodable {
    let data: [Row]
    let next: String?
}

struct PageObject: Decodable {
    let slug: String
    let title: String?
    let url: String?
    let currency: String
    let profileId: Int?
    let owner: String?
    let createdAt: String
}

struct AccountObject: Decodable {
    let id: String
    let name: String
    let createdAt: String
}

struct LinkObject: Decodable {
    let url: String
    let expiresAt: String
}

struct KeyObject: Decodable {
    let id: String
    /// Only in the answer that makes it.
    let key: String?
    let prefix: String
    let name: String
    let scopes: [String]
    /// Slugs; none means that the key isn't limited to pages.
    let pages: [String]?
    let account: String
    let expiresAt: String?
    let lastUsedAt: String?
}

struct TipObject: Decodable {
    let id: String
    let page: String
    let displayName: String
    let message: String
    let grossAmountInCents: Int
    let currency: String
    let processedAt: String
}

/// The answer to a tip and to its replay.
struct TipAnswer: Decodable {
    let tip: TipObject
    let cursor: String
}
