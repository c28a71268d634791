import TipwireCore
import TipwireStore

/// A store that does something of a test's own before certain calls: waits, or fails.
struct FaultyStore: Store {
    typealias Hook = @Sendable () async throws -> Void

    let base: SQLiteStore
    var beforeBounds: Hook = {}
    var beforeCommit: Hook = {}
    var beforeTips: Hook = {}
    var beforeSession: Hook = {}

    func bounds() async throws -> LogBounds {
        try await beforeBounds()
        return try await base.bounds()
    }
    func commit(_ commands: [LogCommand], at now: Timestamp) async throws -> Commit {
        try await beforeCommit()
        return try await base.commit(commands, at: now)
    }
    func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice {
        try await base.events(after: sequence, pages: pages, limit: limit)
    }
    func prune(olderThan horizon: Timestamp, keepingBytes bytes: Int64, limit: Int) async throws -> Pruning {
        try await base.prune(olderThan: horizon, keepingBytes: bytes, limit: limit)
    }
    func logStatistics() async throws -> LogStatistics { try await base.logStatistics() }

    func tips(page: Page.ID, before: Int64?, limit: Int) async throws -> [StoredTip] {
        try await beforeTips()
        return try await base.tips(page: page, before: before, limit: limit)
    }
    func tip(page: Page.ID, id: TipIdentifier) async throws -> StoredTip? { try await base.tip(page: page, id: id) }

    func goals(page: Page.ID) async throws -> GoalQueue { try await base.goals(page: page) }

    func socketSubscriptions() async throws -> [StoredSocket] { try await base.socketSubscriptions() }
    func createSocketSubscription(_ socket: StoredSocket) async throws {
        try await base.createSocketSubscription(socket)
    }
    func deleteSocketSubscriptions(_ ids: [String]) async throws { try await base.deleteSocketSubscriptions(ids) }
    func recordSocketPositions(_ positions: SocketPositions) async throws {
        try await base.recordSocketPositions(positions)
    }

    func directory() async throws -> DirectorySnapshot { try await base.directory() }
    func createAccount(_ new: NewAccount) async throws -> Account { try await base.createAccount(new) }
    func passwordHash(of account: Account.ID) async throws -> String? { try await base.passwordHash(of: account) }
    func setPasswordHash(_ hash: String, of account: Account.ID) async throws {
        try await base.setPasswordHash(hash, of: account)
    }
    func createPage(_ new: NewPage) async throws -> Page { try await base.createPage(new) }
    func updatePage(_ page: Page) async throws { try await base.updatePage(page) }
    func deletePage(_ id: Page.ID) async throws { try await base.deletePage(id) }
    func addMember(_ account: Account.ID, to page: Page.ID) async throws {
        try await base.addMember(account, to: page)
    }
    func removeMember(_ account: Account.ID, from page: Page.ID) async throws {
        try await base.removeMember(account, from: page)
    }
    func createKey(_ key: KeyRecord) async throws { try await base.createKey(key) }
    func deleteKey(_ id: String) async throws -> Bool { try await base.deleteKey(id) }
    func recordKeyUse(_ uses: [String: Timestamp]) async throws { try await base.recordKeyUse(uses) }
    func createLoginCode(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await base.createLoginCode(hash, account: account, expiresAt: expiresAt)
    }
    func redeemLoginCode(_ hash: SecretHash, at now: Timestamp) async throws -> Account.ID? {
        try await base.redeemLoginCode(hash, at: now)
    }
    func createSession(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await base.createSession(hash, account: account, expiresAt: expiresAt)
    }
    func session(_ hash: SecretHash, at now: Timestamp) async throws -> SessionRecord? {
        try await beforeSession()
        return try await base.session(hash, at: now)
    }
    func deleteSession(_ hash: SecretHash) async throws { try await base.deleteSession(hash) }
    func deleteExpiredSessions(at now: Timestamp) async throws { try await base.deleteExpiredSessions(at: now) }
}
