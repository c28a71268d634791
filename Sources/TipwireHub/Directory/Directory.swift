import Synchronization
import TipwireCore
import TipwireStore

/// Accounts, pages, members and keys: the store's truth with a copy in memory, changed through one door.
///
/// A change is durable first, then seen by every look-up, then enforced on open connections; only then does the call
/// return. So whoever is told that a key is revoked can rely on its streams being closed. Where nodes share the store the call
/// waits for the others to have done the same, as long as they can be expected to (`NodeStore.waitForOthers`).
public final class Directory: SharedPart {
    private let store: any DirectoryStore
    private let nodes: (any NodeStore)?
    private let state: Mutex<DirectoryView>
    /// Changes happen one after another: two changes of one page must reach the copy in the order of the store.
    private let turn = Turn()
    private let enforcers = Mutex<[any AccessEnforcing]>([])
    private let followers = Mutex<[any PageFollowing]>([])

    /// - Parameter nodes: where others share the store.
    public init(store: any DirectoryStore, nodes: (any NodeStore)? = nil) async throws {
        self.store = store
        self.nodes = nodes
        let view = DirectoryView(try await store.directory())
        state = Mutex(view)
        try await nodes?.took(directory: view.version)
    }

    /// The directory now. A value: take it once for look-ups that belong together.
    public var view: DirectoryView { state.withLock { $0 } }

    /// One look-up, without copying the whole.
    public func look<Found>(_ body: (borrowing DirectoryView) -> Found) -> Found { state.withLock { body($0) } }

    public var subject: StoreChanges { .directory }

    /// Whoever ends what has lost its right; they are asked in the order in which they are named here.
    public func enforce(with enforcer: any AccessEnforcing) {
        enforcers.withLock { $0.append(enforcer) }
    }

    /// Whoever tells connections how their page is now.
    public func follow(with follower: any PageFollowing) { followers.withLock { $0.append(follower) } }

    private func alter<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        let value = try await turn.take(body)
        await nodes?.waitForOthers()
        return value
    }

    public func createAccount(_ new: NewAccount) async throws -> Account {
        try await alter {
            let account = try await store.createAccount(new)
            state.withLock { $0.put(account) }
            return account
        }
    }

    public func createPage(_ new: NewPage) async throws -> Page {
        try await alter {
            let page = try await store.createPage(new)
            state.withLock { $0.put(page) }
            return page
        }
    }

    /// Applies `change` to the page as it stands when its turn comes; nil if it is gone.
    public func updatePage(_ id: Page.ID, _ change: @Sendable (inout Page) -> Void) async throws -> Page? {
        try await alter {
            guard var page = look({ $0.page(id) }) else { return nil }
            let former = page.alerts
            change(&page)
            try await store.updatePage(page)
            state.withLock { $0.put(page) }
            if page.alerts != former { await tellOfAlerts(of: page) }
            return page
        }
    }

    public func deletePage(_ id: Page.ID) async throws {
        try await alter {
            try await store.deletePage(id)
            state.withLock { $0.remove(page: id) }
            await enforce(.pageDeleted(id))
        }
    }

    public func addMember(_ account: Account.ID, to id: Page.ID) async throws {
        try await alter {
            try await store.addMember(account, to: id)
            state.withLock { view in
                guard var page = view.page(id) else { return }
                page.members.insert(account)
                view.put(page)
            }
        }
    }

    public func removeMember(_ account: Account.ID, from id: Page.ID) async throws {
        try await alter {
            try await store.removeMember(account, from: id)
            state.withLock { view in
                guard var page = view.page(id) else { return }
                page.members.remove(account)
                view.put(page)
            }
            // An owner's streams don't rest on a membership.
            if look({ $0.page(id)?.owner }) != account { await enforce(.memberRemoved(account, from: id)) }
        }
    }

    public func createKey(_ key: KeyRecord) async throws {
        try await alter {
            try await store.createKey(key)
            state.withLock { $0.put(key) }
        }
    }

    /// False if there is no such key.
    public func revokeKey(_ id: String) async throws -> Bool {
        try await alter {
            let existed = try await store.deleteKey(id)
            state.withLock { $0.remove(key: id) }
            await enforce(.keyRevoked(id))
            return existed
        }
    }

    /// Takes in what was changed past this door, by another node that uses the same store, and enforces it here.
    public func refresh() async throws {
        let version = try await turn.take {
            let fresh = DirectoryView(try await store.directory())
            let (losses, switched) = state.withLock { view in
                defer { view.become(fresh) }
                return (view.losses(to: fresh), view.switchedAlerts(in: fresh))
            }
            for loss in losses { await enforce(loss) }
            for page in switched { await tellOfAlerts(of: page) }
            return fresh.version
        }
        try await nodes?.took(directory: version)
    }

    /// Takes in what was changed past this door up to `version`, if it hasn't yet.
    func refresh(to version: Int64) async throws {
        if look({ $0.version < version }) { try await refresh() }
    }

    /// Whether what a subscription rests on is there: its key, its page, and the account's place on it.
    public func upholds(_ subscription: EventSubscription, at now: Timestamp) -> Bool {
        look { view in view.loss(of: subscription, at: now) } == nil
    }

    private func tellOfAlerts(of page: Page) async {
        for follower in followers.withLock({ $0 }) { await follower.alertsSwitched(page) }
    }

    private func enforce(_ loss: AccessLoss) async {
        for enforcer in enforcers.withLock({ $0 }) { await enforcer.enforce(loss) }
    }
}

/// Hears how a page has changed, here or on another node.
public protocol PageFollowing: Sendable {
    /// Alerts were paused or muted, or aren't any more.
    func alertsSwitched(_ page: Page) async
}

/// Something that a connection may have depended on is gone.
public enum AccessLoss: Sendable {
    case keyRevoked(String)
    case sessionEnded(SecretHash)
    /// All of an account's.
    case sessionsEnded(Account.ID)
    case pageDeleted(Page.ID)
    case memberRemoved(Account.ID, from: Page.ID)
}

/// Closes what has lost its right, and returns when that is done.
public protocol AccessEnforcing: Sendable {
    func enforce(_ loss: AccessLoss) async
}
