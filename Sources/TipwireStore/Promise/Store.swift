import TipwireCore

/// Everything durable, as one promise.
///
/// Each part is its own protocol, because each has its own readers: the hub needs the log, the API the tips and the
/// directory. One contract suite (`StoreContract` in the tests) runs over every implementation.
public typealias Store = LogStore & TipStore & GoalStore & DirectoryStore & SocketStore & WebhookStore & OverlayStore
    & StatisticsStore

/// The log: the one ordered history that everything else is read from.
///
/// - **Order**: sequences rise in commit order. Whoever has read through `n` never finds an entry at or below `n` later.
/// - **Atomicity**: a command is kept whole or leaves nothing; its events stand consecutively.
/// - **Durability**: once `commit` has told its outcome, what that says was kept survives the loss of power.
/// - **Cancellation**: cancelling the caller doesn't undo or stop a commit that was begun.
public protocol LogStore: Sendable {
    /// Where the log begins and ends now.
    func bounds() async throws -> LogBounds

    /// Decides and keeps a batch of commands in their order, in one transaction, synced to disk.
    ///
    /// A refused command (`LogRefusal`) leaves nothing and doesn't disturb its neighbours. When the outcome is a failure, none
    /// of the batch was kept.
    ///
    /// A call with an answer rather than an `async` one: a tip alone spends more time on threads that wake each other than on
    /// anything else, and a task would be two more of those.
    ///
    /// - Parameters:
    ///   - takeBatch: called when nothing stands between the batch and its commit any more: what has come until then goes along.
    ///     Called once, or not at all where the commit fails before: by a store that is closed, or that finds itself locked out.
    ///   - answer: called once, on the thread that writes, which waits for it; of a closed store on that of the caller.
    func commit(
        _ takeBatch: @escaping @Sendable () -> LogBatch, answer: @escaping @Sendable (Result<Commit, any Error>) -> Void
    )

    /// Entries after a sequence, oldest first, of some pages or of all.
    ///
    /// What retention has removed is passed over in silence: whoever must know compares `EventSlice.bounds` with where
    /// it stood (`Resumption`).
    ///
    /// - Parameters:
    ///   - limit: most entries of the answer, 1 or more. An answer may hold fewer, even none, and still not be the end:
    ///     `EventSlice.through` says how far the log was read.
    func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice

    /// Removes the oldest entries that are older than `horizon`, and as many more as it takes for the log to fit into
    /// `bytes`; at most `limit` entries a call, fewer when they are large, so that one call never holds the writer for long. Tips and goals stay, and
    /// the goals as they stood behind the last removed entry are kept with it, in the same transaction: from there the
    /// rest of the log leads to the goals of today (`GoalReplay`).
    func prune(olderThan horizon: Timestamp, keepingBytes bytes: Int64, limit: Int) async throws -> Pruning

    /// Size and age of the log, for metrics.
    func logStatistics() async throws -> LogStatistics
}

extension LogStore {
    /// The same for a task. Throws what the outcome has failed with.
    public func commit(_ commands: [LogCommand], at now: Timestamp) async throws -> Commit {
        try await withCheckedThrowingContinuation { continuation in
            commit({ LogBatch(commands, at: now) }) { continuation.resume(with: $0) }
        }
    }
}

/// The tips themselves, which outlive their events.
public protocol TipStore: Sendable {
    /// A page's tips, newest first, those that were committed before `before` (a `StoredTip.sequence`) only.
    func tips(page: Page.ID, before: Int64?, limit: Int) async throws -> [StoredTip]
    /// Those of them that match. Looks through `Limits.searchedTips` at most.
    func search(page: Page.ID, before: Int64?, limit: Int, for filter: TipFilter) async throws -> TipSearch
    func tip(page: Page.ID, id: TipIdentifier) async throws -> StoredTip?
    /// What a tip gave to which goals when it was new; nothing for a tip that isn't there.
    func credits(page: Page.ID, tip: TipIdentifier) async throws -> [GoalCredit]
}

/// Which tips of a page are wanted. All of them, until something is asked for.
public struct TipFilter: Hashable, Sendable {
    /// Stands in the name or the message, whatever the case of its ASCII letters.
    public var text: String?
    public var minimumAmountInCents: Int?

    public init(text: String? = nil, minimumAmountInCents: Int? = nil) {
        self.text = text
        self.minimumAmountInCents = minimumAmountInCents
    }

    public static let all = TipFilter()
}

/// What a search has found.
public struct TipSearch: Sendable, Equatable {
    public let tips: [StoredTip]
    /// `before` of the search that goes on; nil at the end.
    public let next: Int64?

    public init(tips: [StoredTip], next: Int64?) {
        self.tips = tips
        self.next = next
    }
}

/// The goals as the log has left them.
public protocol GoalStore: Sendable {
    /// A page's goals in their order; none for a page that isn't there.
    func goals(page: Page.ID) async throws -> GoalQueue
}

/// Accounts, pages, members, keys and browser sessions.
///
/// Every method is one durable transaction. Names, key ids and secrets' hashes are unique: a taken one throws
/// `DirectoryRefusal.taken`. What refers to an account or page that is gone throws `.missingReference`; deleting what
/// is gone does nothing.
public protocol DirectoryStore: Sendable {
    /// All of it, consistent with itself; sessions and login codes excepted.
    func directory() async throws -> DirectorySnapshot

    func createAccount(_ new: NewAccount) async throws -> Account
    /// The scrypt hash of the account's password, nil if it has none.
    func passwordHash(of account: Account.ID) async throws -> String?
    func setPasswordHash(_ hash: String, of account: Account.ID) async throws

    func createPage(_ new: NewPage) async throws -> Page
    /// Writes `title`, `customURL` and `currency`, nothing else. Throws `.currencyInUse` when the page has tips or goals
    /// in another currency.
    func updatePage(_ page: Page) async throws
    /// Removes the page with its tips, events, members and places in keys. A key that was limited to it stays limited.
    func deletePage(_ id: Page.ID) async throws
    /// Idempotent, as is its opposite.
    func addMember(_ account: Account.ID, to page: Page.ID) async throws
    func removeMember(_ account: Account.ID, from page: Page.ID) async throws

    func createKey(_ key: KeyRecord) async throws
    /// False if there is none of this id.
    func deleteKey(_ id: String) async throws -> Bool
    /// Keeps when keys were last used: later times win, unknown keys are passed over.
    func recordKeyUse(_ uses: [String: Timestamp]) async throws

    func createLoginCode(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws
    /// The account of an unexpired code, which is spent by this call whatever comes after; nil otherwise.
    func redeemLoginCode(_ hash: SecretHash, at now: Timestamp) async throws -> Account.ID?
    func createSession(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws
    func session(_ hash: SecretHash, at now: Timestamp) async throws -> SessionRecord?
    func deleteSession(_ hash: SecretHash) async throws
    /// Ends all sessions of an account, and the links that would begin one.
    func deleteSessions(of account: Account.ID) async throws
    /// Removes sessions and codes that expired.
    func deleteExpiredSessions(at now: Timestamp) async throws
}
