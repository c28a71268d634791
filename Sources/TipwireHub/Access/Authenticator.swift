import Logging
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// Turns a credential into a principal, without asking the database for keys.
public final class Authenticator: Service {
    /// How often the last use of keys is written. A crash loses at most this much of it.
    static let recordInterval = Duration.seconds(5)

    /// Why a key was not accepted. Callers are told one thing for all of them.
    public enum Failure: Error, Sendable, Equatable {
        case missing
        case invalid
        /// The address has failed too often; seconds to wait.
        case throttled(retryAfter: Int)
    }

    private let directory: Directory
    private let store: any DirectoryStore
    private let clock: WallClock
    private let throttle: FailureThrottle
    private let logger: Logger
    private let uses = Mutex(KeyUses())

    public init(
        directory: Directory, store: any DirectoryStore, clock: WallClock, throttle: FailureThrottle, logger: Logger
    ) {
        self.directory = directory
        self.store = store
        self.clock = clock
        self.throttle = throttle
        self.logger = logger
    }

    /// - Parameters:
    ///   - text: the key as it came; nil or empty when there was none.
    ///   - address: whose failures these are.
    public func principal(key text: String?, address: String) -> Result<Principal, Failure> {
        guard let text, !text.isEmpty else { return .failure(.missing) }
        if let holder = holder(ofKey: text) { return .success(holder) }
        if let wait = recordFailure(of: address) { return .failure(.throttled(retryAfter: wait)) }
        return .failure(.invalid)
    }

    /// Who has this key; nil for one that is no good, which is nobody's failure yet: whoever asks leaves the judgement to
    /// `principal(key:address:)`.
    public func holder(ofKey text: String) -> Principal? {
        let now = clock.now()
        guard let key = APIKey(text), let record = directory.look({ $0.record(of: key) }), !record.isExpired(at: now)
        else { return nil }
        uses.withLock { uses in
            uses.latest[record.id] = now
            uses.unwritten.insert(record.id)
        }
        return Principal(key: record)
    }

    /// The account behind a browser session, with the rights of its person.
    public func principal(sessionToken token: String) async throws -> Principal? {
        let hash = SecretHash(of: token)
        guard let session = try await store.session(hash, at: clock.now()),
            let account = directory.look({ $0.account(session.account) })
        else { return nil }
        let scopes: [Scope] =
            account.name.text == Self.administrator
            ? [.admin] : [.eventsRead, .tipsWrite, .manage, .overlay, .eventsub]
        return Principal(
            account: account.id, credential: .session(hash), scopes: scopes, pageLimit: nil,
            expiresAt: session.expiresAt)
    }

    /// Counts a credential that was no good; the seconds to wait when the address is past its limit.
    public func recordFailure(of address: String) -> Int? {
        throttle.recordFailure(of: FailureThrottle.subject(of: address), at: clock.now())
    }

    /// The seconds to wait when an address is past its limit of failures, without counting one.
    public func wait(of address: String) -> Int? {
        throttle.wait(of: FailureThrottle.subject(of: address), at: clock.now())
    }

    /// Whether the credential that made this principal is still good.
    public func isValid(_ principal: Principal) async throws -> Bool {
        switch principal.credential {
        case .key: return isGood(principal)
        case .session(let hash): return try await store.session(hash, at: clock.now()) != nil
        }
    }

    /// Whether the key that made this principal is still good. Of a session only the store knows; here it isn't.
    public func isGood(_ principal: Principal) -> Bool {
        guard case .key(let id) = principal.credential else { return false }
        let now = clock.now()
        return directory.look { view in view.key(id).map { !$0.isExpired(at: now) } ?? false }
    }

    /// The account that the first start makes, and that may administer the server.
    public static let administrator = "admin"

    /// When a key was last used, including what isn't written yet.
    public func lastUse(of key: KeyRecord) -> Timestamp? {
        let recent = uses.withLock { $0.latest[key.id] }
        guard let recent else { return key.lastUsedAt }
        return key.lastUsedAt.map { max($0, recent) } ?? recent
    }

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.recordInterval)
                await self.recordUses()
            }
        }
        await recordUses()
    }

    private func recordUses() async {
        let batch = uses.withLock { uses in
            defer { uses.unwritten = [] }
            return uses.latest.filter { uses.unwritten.contains($0.key) }
        }
        guard !batch.isEmpty else { return }
        do {
            try await store.recordKeyUse(batch)
            uses.withLock { $0.isFailing = false }
        } catch {
            let isNews = uses.withLock { uses in
                uses.unwritten.formUnion(batch.keys)
                defer { uses.isFailing = true }
                return !uses.isFailing
            }
            guard isNews else { return }
            logger.warning(
                "the last use of keys can't be written; it is tried again", metadata: ["error": "\(error)"])
        }
    }
}

/// When keys were last used, and which of that the store doesn't know yet. One entry for each key that was ever used.
private struct KeyUses {
    var latest: [String: Timestamp] = [:]
    var unwritten: Set<String> = []
    /// Whether the last attempt failed, which was told.
    var isFailing = false
}
