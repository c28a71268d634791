import TipwireCore
import TipwireStore
import TipwireTestSupport

/// A store that does something of a test's own before certain calls: waits, or fails.
struct FaultyStore: ForwardingStore {
    typealias Hook = @Sendable () async throws -> Void

    let real: SQLiteStore
    var beforeBounds: Hook = {}
    var beforeCommit: Hook = {}
    var beforeTips: Hook = {}
    var beforeSession: Hook = {}

    func bounds() async throws -> LogBounds {
        try await beforeBounds()
        return try await real.bounds()
    }

    func commit(_ commands: [LogCommand], at now: Timestamp) async throws -> Commit {
        try await beforeCommit()
        return try await real.commit(commands, at: now)
    }

    func tips(page: Page.ID, before: Int64?, limit: Int) async throws -> [StoredTip] {
        try await beforeTips()
        return try await real.tips(page: page, before: before, limit: limit)
    }

    func session(_ hash: SecretHash, at now: Timestamp) async throws -> SessionRecord? {
        try await beforeSession()
        return try await real.session(hash, at: now)
    }
}
