/// Who is calling, and with what rights: a key, or a signed-in browser session.
public struct Principal: Hashable, Sendable {
    public enum Credential: Hashable, Sendable {
        case key(id: String)
        case session(SecretHash)
    }

    public let account: Account.ID
    public let credential: Credential
    public let scopes: [Scope]
    /// The only pages that this caller sees anywhere; nil: no such limit.
    public let pageLimit: Set<Page.ID>?
    public let expiresAt: Timestamp?

    public init(
        account: Account.ID, credential: Credential, scopes: [Scope], pageLimit: Set<Page.ID>?, expiresAt: Timestamp?
    ) {
        self.account = account
        self.credential = credential
        self.scopes = scopes
        self.pageLimit = pageLimit
        self.expiresAt = expiresAt
    }

    public init(key: KeyRecord) {
        self.init(
            account: key.account, credential: .key(id: key.id), scopes: key.scopes, pageLimit: key.pages,
            expiresAt: key.expiresAt)
    }

    public func has(_ scope: Scope) -> Bool {
        scopes.contains { $0.covers(scope) }
    }

    /// `admin` over the whole server. A key that is limited to pages administers these alone.
    public var administersServer: Bool { has(.admin) && pageLimit == nil }

    /// A feed of one page is open to its owner and members. `admin` doesn't widen this: in the three public dialects
    /// such a key counts as its own account's.
    public func mayFollow(_ page: Page) -> Bool {
        isWithinLimit(page) && page.role(of: account) != nil
    }

    /// The firehose holds the pages that the account owns.
    public func firehoseHolds(_ page: Page) -> Bool {
        isWithinLimit(page) && page.owner == account
    }

    /// In the management API `admin` sees every account's pages.
    public func maySee(_ page: Page) -> Bool {
        isWithinLimit(page) && (has(.admin) || page.role(of: account) != nil)
    }

    /// Deleting a page and changing its members is the owner's alone.
    public func mayGovern(_ page: Page) -> Bool {
        isWithinLimit(page) && (has(.admin) || page.owner == account)
    }

    /// Keys of one's own account, of every account to who administers the server. A key limited to pages sees no key that
    /// reaches beyond them.
    public func mayManage(_ key: KeyRecord) -> Bool {
        guard key.account == account || administersServer else { return false }
        guard let limit = pageLimit else { return true }
        guard let pages = key.pages, !pages.isEmpty else { return false }
        return pages.isSubset(of: limit)
    }

    private func isWithinLimit(_ page: Page) -> Bool {
        pageLimit?.contains(page.id) ?? true
    }
}
