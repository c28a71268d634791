import Foundation
import Testing
import TipwireCore
import TipwirePostgres
import TipwireStore

/// One implementation of the `Store` promise, as the contract meets it.
struct StoreKind: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Opens the store of one test. A second call with the same folder, after `close`, opens the same store again.
    let open: @Sendable (_ folder: URL) async throws -> OpenStore

    /// Every implementation. A new one is a new line here, and no new test.
    static let all: [StoreKind] =
        [
            StoreKind(testDescription: "SQLite") { folder in
                let store = try SQLiteStore.open(at: folder.appendingPathComponent("tipwire.db").path)
                return OpenStore(store: store, close: store.close)
            }
        ] + [postgres].compactMap { $0 }

    /// Where `scripts/with-postgres` has started one, as `make test` does.
    static let postgres = PostgresServer.given.map { server in
        StoreKind(testDescription: "PostgreSQL") { folder in
            let store = try await PostgresStore.open(server.database(folder.lastPathComponent))
            return OpenStore(store: store, close: store.close)
        }
    }
}

struct OpenStore: Sendable {
    let store: any Store
    let close: @Sendable () async throws -> Void
}

/// A folder that is gone when `body` is done.
func withFolder<T>(_ body: (URL) async throws -> T) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tipwire-store-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}

/// A store with an account and two pages.
struct Scene: Sendable {
    let store: any Store
    let account: Account
    let page: Page
    let other: Page

    init(_ store: any Store) async throws {
        self.store = store
        account = try await store.createAccount(
            NewAccount(name: Slug("admin")!, passwordHash: nil, createdAt: .zero))
        page = try await store.createPage(.named("cats", owner: account))
        other = try await store.createPage(.named("dogs", owner: account))
    }

    /// The answers to one `receive`, or its refusal, thrown.
    @discardableResult
    func receive(
        _ drafts: [TipDraft], key: String? = nil, to page: Page? = nil, at now: Timestamp = .zero
    ) async throws -> [LogAnswer] {
        let command = LogCommand.receive(
            page: (page ?? self.page).id, drafts: drafts, idempotencyKey: key.map { TipIdentifier($0)! })
        return try await results([command], at: now)[0].get()
    }

    func results(
        _ commands: [LogCommand], at now: Timestamp = .zero
    ) async throws -> [Result<[LogAnswer], LogRefusal>] {
        try await store.commit(commands, at: now).results
    }

    func tip(_ draft: TipDraft, to page: Page? = nil) -> LogCommand {
        .receive(page: (page ?? self.page).id, drafts: [draft], idempotencyKey: nil)
    }

    /// The whole log, read in slices of `limit`.
    func events(
        _ pages: PageSelection = .all, after start: Int64 = 0, limit: Int = 1_000
    ) async throws -> [Event] {
        var events: [Event] = []
        var position = start
        while true {
            let slice = try await store.events(after: position, pages: pages, limit: limit)
            events += slice.events
            guard slice.through < slice.bounds.head else { return events }
            #expect(slice.through > position, "a slice that moves nobody on is an endless loop")
            position = slice.through
        }
    }
}

func withStore<T>(_ kind: StoreKind, _ body: (any Store) async throws -> T) async throws -> T {
    try await withFolder { folder in
        let opened = try await kind.open(folder)
        do {
            let result = try await body(opened.store)
            try await opened.close()
            return result
        } catch {
            try? await opened.close()
            throw error
        }
    }
}

func withScene<T>(_ kind: StoreKind, _ body: (Scene) async throws -> T) async throws -> T {
    try await withStore(kind) { store in try await body(Scene(store)) }
}

func draft(
    id: String? = nil, _ cents: Int = 500, fee: Int = 20, name: String? = "Ann",
    message: String = "Hello, \"you\" 🎉\n!", createdAt: Timestamp? = nil
) -> TipDraft {
    try! TipDraft(
        validating: TipFields(
            id: id, displayName: name, grossAmountInCents: cents, processingFeeInCents: fee, message: message,
            createdAt: createdAt),
        now: Timestamp(milliseconds: 1_800_000_000_000))
}

extension Timestamp {
    static let zero = Timestamp(milliseconds: 1_700_000_000_000)
    /// `zero` and some seconds.
    static func seconds(_ count: Int64) -> Timestamp { zero.advanced(milliseconds: count * 1_000) }
}

extension NewPage {
    static func named(_ slug: String, owner: Account, currency: Currency = .usd) -> NewPage {
        NewPage(
            slug: Slug(slug)!, title: "Page of \(slug)", customURL: nil, currency: currency, owner: owner.id,
            createdAt: .zero)
    }
}

extension Result {
    var failure: Failure? {
        if case .failure(let failure) = self { failure } else { nil }
    }
}

extension LogAnswer {
    /// The tip of an answer that is about one.
    var tip: Tip {
        guard case .tip(let tip) = subject else { preconditionFailure("not about a tip: \(subject)") }
        return tip
    }

    init(tip: Tip, page: PageLabel, events: [Event], lastSequence: Int64, isRepeat: Bool) {
        self.init(subject: .tip(tip), page: page, events: events, lastSequence: lastSequence, isRepeat: isRepeat)
    }
}
