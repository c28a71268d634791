import Logging
import TipwireCore
import TipwireHub
import TipwireStore

/// Makes what a server needs before anyone can talk to it: the administrator, their key, and the demo.
struct Setup {
    let directory: Directory
    let store: any LogStore & GoalStore
    let position: LogPosition
    let folder: DataFolder
    let clock: WallClock
    let logger: Logger

    static let administrator = Slug(Authenticator.administrator)!

    /// The account `admin` and `DATA/admin.key`. A lost file is replaced by a new key; the old one stays valid until it
    /// is revoked.
    ///
    /// - Returns: the account, and whether this is the first start of this data folder.
    func administrator() async throws -> (account: Account, isFirstStart: Bool) {
        var known = directory.look { $0.account(named: Self.administrator) }
        let account: Account
        if let known {
            account = known
        } else {
            do {
                account = try await directory.createAccount(
                    NewAccount(name: Self.administrator, passwordHash: nil, createdAt: clock.now()))
            } catch DirectoryRefusal.taken {
                // Another node has started at the same moment.
                try await directory.refresh()
                guard let made = directory.look({ $0.account(named: Self.administrator) }) else {
                    throw DirectoryRefusal.taken
                }
                (account, known) = (made, made)
            }
        }
        // What a new store never heard of is another store's, and no way into this one.
        if known == nil || folder.readKey(folder.adminKeyFile) == nil {
            if known != nil {
                logger.warning(
                    "a new admin.key was made: this data folder had none that can be read",
                    metadata: ["file": "\(folder.adminKeyFile)"])
            }
            let key = try await makeKey(name: "admin.key", scopes: [.admin], pages: nil, account: account.id)
            try folder.writeKey(key, to: folder.adminKeyFile)
        }
        return (account, known == nil)
    }

    /// The page `demo` with goals, and a key for it, kept in `DATA/demo.key` and used again while it is valid.
    func demo(owner: Account.ID) async throws -> APIKey {
        let slug = Slug("demo")!
        let page: Page
        if let known = directory.look({ $0.page(slug: slug) }) {
            page = known
        } else {
            page = try await directory.createPage(
                NewPage(
                    slug: slug, title: "Demo page", customURL: nil, currency: .usd, owner: owner,
                    createdAt: clock.now()))
        }
        try await makeGoals(of: page)
        if let key = folder.readKey(folder.demoKeyFile), directory.look({ $0.holds(key, at: clock.now()) }) {
            return key
        }
        let key = try await makeKey(
            name: "demo.key", scopes: [.eventsRead, .tipsWrite, .manage], pages: [page.id], account: owner)
        try folder.writeKey(key, to: folder.demoKeyFile)
        return key
    }

    /// Three goals of rising size, so that the first tips of someone who tries this complete one and spill into the next.
    private func makeGoals(of page: Page) async throws {
        guard try await store.goals(page: page.id).goals.isEmpty else { return }
        let goals = [("New microphone", 2_000), ("Better lights", 5_000), ("A trip to the sea", 25_000)]
        // Not by the intake, which is not running yet; nobody listens yet either.
        let commit = try await store.commit(
            goals.map { description, amount in
                .changeGoals(
                    page: page.id, .add(PublicID.random(), description: description, amountInCents: amount),
                    idempotencyKey: nil)
            }, at: clock.now())
        position.advance(to: commit.bounds)
    }

    private func makeKey(
        name: String, scopes: [Scope], pages: Set<Page.ID>?, account: Account.ID
    ) async throws -> APIKey {
        let key = APIKey.random()
        try await directory.createKey(
            KeyRecord(
                id: PublicID.random(), prefix: key.prefix, hash: key.hash, name: name, account: account,
                scopes: scopes, pages: pages, createdAt: clock.now(), expiresAt: nil))
        return key
    }
}
