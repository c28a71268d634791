import TipwireCore
import TipwireStore

/// Accounts, pages and keys in memory, found by whatever names them.
///
/// Every look-up of a handshake or an event is answered from here, so that clients who reconnect for ever, with good
/// keys or bad ones, never reach the database.
public struct DirectoryView: Sendable {
    private(set) var accounts: [Account.ID: Account] = [:]
    /// Changes with every change of a page: what was made of pages before is out of date.
    private(set) var pagesVersion = 0
    /// The store's, when all of it was last read.
    let version: Int64
    private var accountsByName: [Slug: Account.ID] = [:]
    private(set) var pages: [Page.ID: Page] = [:]
    private var pagesBySlug: [Slug: Page.ID] = [:]
    private var pagesByOwner: [Account.ID: Set<Page.ID>] = [:]
    private var pagesByMember: [Account.ID: Set<Page.ID>] = [:]
    private(set) var keys: [String: KeyRecord] = [:]
    private var keysByPrefix: [String: [String]] = [:]

    init(_ snapshot: DirectorySnapshot) {
        version = snapshot.version
        for account in snapshot.accounts { put(account) }
        for page in snapshot.pages { put(page) }
        for key in snapshot.keys { put(key) }
    }

    public func account(_ id: Account.ID) -> Account? { accounts[id] }
    public func account(named name: Slug) -> Account? { accountsByName[name].flatMap { accounts[$0] } }
    public func page(_ id: Page.ID) -> Page? { pages[id] }
    public func page(slug: Slug) -> Page? { pagesBySlug[slug].flatMap { pages[$0] } }
    public func pages(ownedBy account: Account.ID) -> Set<Page.ID> { pagesByOwner[account] ?? [] }
    /// The pages that an account owns or is a member of, in the order of their making.
    public func pages(of account: Account.ID) -> [Page] {
        (pagesByOwner[account] ?? []).union(pagesByMember[account] ?? []).compactMap { pages[$0] }
            .sorted { $0.id.rawValue < $1.id.rawValue }
    }
    public func key(_ id: String) -> KeyRecord? { keys[id] }
    public var pageCount: Int { pages.count }
    public var keyCount: Int { keys.count }

    /// Pages in the order of their making that satisfy `condition`.
    public func pages(where condition: (Page) -> Bool) -> [Page] {
        pages.values.filter(condition).sorted { $0.id.rawValue < $1.id.rawValue }
    }

    public func accountsInOrder() -> [Account] {
        accounts.values.sorted { $0.id.rawValue < $1.id.rawValue }
    }

    public func keys(where condition: (KeyRecord) -> Bool) -> [KeyRecord] {
        keys.values.filter(condition).sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    }

    /// Why a subscription has lost what it rested on, nil when it hasn't.
    public func loss(of subscription: EventSubscription, at now: Timestamp) -> DisabledReason? {
        guard let page = page(subscription.page), page.role(of: subscription.account) != nil else { return .noAccess }
        // Without a key it is the account's own: a signed-in browser made it.
        guard let id = subscription.key else { return nil }
        guard let key = key(id) else { return .keyRevoked }
        if key.isExpired(at: now) { return .keyExpired }
        return key.pages?.contains(page.id) ?? true ? nil : .noAccess
    }

    /// The record of `key`, compared in constant time with each that shares its prefix.
    func record(of key: APIKey) -> KeyRecord? {
        let hash = key.hash
        return keysByPrefix[key.prefix]?.lazy.compactMap { keys[$0] }.first { $0.hash.matches(hash) }
    }

    /// Whether `key` is known and in force.
    public func holds(_ key: APIKey, at now: Timestamp) -> Bool {
        record(of: key).map { !$0.isExpired(at: now) } ?? false
    }

    /// What connections may rest on here and not in `other` any more.
    func losses(to other: DirectoryView) -> [AccessLoss] {
        let keys = keys.keys.filter { other.key($0) == nil }.map(AccessLoss.keyRevoked)
        let pages = pages.values.flatMap { page -> [AccessLoss] in
            guard let now = other.page(page.id) else { return [.pageDeleted(page.id)] }
            // An owner's streams don't rest on a membership.
            return page.members.subtracting(now.members).filter { $0 != now.owner }
                .map { .memberRemoved($0, from: page.id) }
        }
        return keys + pages
    }

    /// The pages as `other` has them whose alerts are paused or muted otherwise than here.
    func switchedAlerts(in other: DirectoryView) -> [Page] {
        pages.values.compactMap { page in
            other.page(page.id).flatMap { $0.alerts == page.alerts ? nil : $0 }
        }
    }

    /// Takes all of `other`, but not its count of changes: what was made of pages before is out of date.
    mutating func become(_ other: DirectoryView) {
        let version = pagesVersion
        self = other
        pagesVersion = version + 1
    }

    mutating func put(_ account: Account) {
        accounts[account.id] = account
        accountsByName[account.name] = account.id
    }

    mutating func put(_ page: Page) {
        pagesVersion += 1
        for member in pages[page.id]?.members ?? [] { pagesByMember[member]?.remove(page.id) }
        for member in page.members { pagesByMember[member, default: []].insert(page.id) }
        pages[page.id] = page
        pagesBySlug[page.slug] = page.id
        pagesByOwner[page.owner, default: []].insert(page.id)
    }

    mutating func put(_ key: KeyRecord) {
        if keys.updateValue(key, forKey: key.id) == nil { keysByPrefix[key.prefix, default: []].append(key.id) }
    }

    mutating func remove(page id: Page.ID) {
        guard let page = pages.removeValue(forKey: id) else { return }
        pagesBySlug[page.slug] = nil
        pagesByOwner[page.owner]?.remove(id)
        for member in page.members { pagesByMember[member]?.remove(id) }
        for key in keys.values where key.pages?.contains(id) == true {
            keys[key.id] = key.without(page: id)
        }
    }

    mutating func remove(key id: String) {
        guard let key = keys.removeValue(forKey: id) else { return }
        keysByPrefix[key.prefix]?.removeAll { $0 == id }
        if keysByPrefix[key.prefix]?.isEmpty == true { keysByPrefix[key.prefix] = nil }
    }
}
