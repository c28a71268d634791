import Synchronization
import TipwireCore
import TipwireStore
import TipwireTestSupport

/// A real store that a test can hold up, break and look over the shoulder of.
final class StoreDouble: ForwardingStore {
    struct Hooks: Sendable {
        /// Runs before a batch is taken; what it throws is the failure of a commit that couldn't begin.
        var beforeTake: (@Sendable () async throws -> Void)?
        /// Runs before a batch is committed; what it throws is the store's failure.
        var beforeCommit: (@Sendable ([LogCommand]) async throws -> Void)?
        /// Runs before the log is read.
        var beforeRead: (@Sendable (_ after: Int64, _ pages: PageSelection) async throws -> Void)?
        /// Runs between a read and its answer.
        var afterRead: (@Sendable (PageSelection) async throws -> Void)?
        /// Runs before the directory is changed, with the method's name.
        var beforeChange: (@Sendable (String) async throws -> Void)?
        /// The log's from here on: as when another one has taken its place.
        var epoch: String?
    }

    let real: SQLiteStore
    private let hooks = Mutex(Hooks())
    /// The commands of every batch that was committed or tried.
    let batches = Watched<[[LogCommand]]>([])
    let keyUses = Watched<[[String: Timestamp]]>([])

    init(_ real: SQLiteStore) { self.real = real }

    func hook(_ change: @Sendable (inout Hooks) -> Void) { hooks.withLock { change(&$0) } }

    private func change(_ name: String) async throws { try await hooks.withLock { $0.beforeChange }?(name) }

    // MARK: Log

    func beforeTake() async throws { try await hooks.withLock { $0.beforeTake }?() }

    func commit(_ commands: [LogCommand], at now: Timestamp) async throws -> Commit {
        batches.change { $0.append(commands) }
        try await hooks.withLock { $0.beforeCommit }?(commands)
        return try await real.commit(commands, at: now)
    }

    func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice {
        try await hooks.withLock { $0.beforeRead }?(sequence, pages)
        var slice = try await real.events(after: sequence, pages: pages, limit: limit)
        if let epoch = hooks.withLock({ $0.epoch }) {
            let bounds = LogBounds(
                epoch: epoch, head: slice.bounds.head, prunedThrough: slice.bounds.prunedThrough)
            slice = EventSlice(events: slice.events, through: slice.through, bounds: bounds)
        }
        try await hooks.withLock { $0.afterRead }?(pages)
        return slice
    }

    // MARK: Sockets

    func createSocketSubscription(_ socket: StoredSocket) async throws {
        try await change("createSocketSubscription")
        try await real.createSocketSubscription(socket)
    }

    func recordSocketPositions(_ positions: SocketPositions) async throws {
        try await change("recordSocketPositions")
        try await real.recordSocketPositions(positions)
    }

    // MARK: Directory

    func createAccount(_ new: NewAccount) async throws -> Account {
        try await change("createAccount")
        return try await real.createAccount(new)
    }

    func createPage(_ new: NewPage) async throws -> Page {
        try await change("createPage")
        return try await real.createPage(new)
    }

    func updatePage(_ page: Page) async throws {
        try await change("updatePage")
        try await real.updatePage(page)
    }

    func deletePage(_ id: Page.ID) async throws {
        try await change("deletePage")
        try await real.deletePage(id)
    }

    func addMember(_ account: Account.ID, to page: Page.ID) async throws {
        try await change("addMember")
        try await real.addMember(account, to: page)
    }

    func removeMember(_ account: Account.ID, from page: Page.ID) async throws {
        try await change("removeMember")
        try await real.removeMember(account, from: page)
    }

    func createKey(_ key: KeyRecord) async throws {
        try await change("createKey")
        try await real.createKey(key)
    }

    func deleteKey(_ id: String) async throws -> Bool {
        try await change("deleteKey")
        return try await real.deleteKey(id)
    }

    func recordKeyUse(_ uses: [String: Timestamp]) async throws {
        keyUses.change { $0.append(uses) }
        try await change("recordKeyUse")
        try await real.recordKeyUse(uses)
    }
}

/// What a store that was told to break throws.
struct BrokenStore: Error {}
