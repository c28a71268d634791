import Foundation
import Logging
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// The moment at which every test begins: 2026-03-01T12:00:00.000Z.
let noon = Timestamp(milliseconds: 1_772_366_400_000)

/// A clock that stands until it is moved.
final class TestClock: Sendable {
    private let time = Mutex(noon)

    var wall: WallClock { WallClock { [self] in time.withLock { $0 } } }
    func advance(milliseconds: Int64) { time.withLock { $0 = $0.advanced(milliseconds: milliseconds) } }
}

let silence = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Opens a store in a folder of its own, which is gone afterwards.
func withStore<Result>(_ body: (StoreDouble) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tipwire-hub-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try SQLiteStore.open(at: folder.appending(path: "tipwire.db").path)
    do {
        let result = try await body(StoreDouble(store))
        try await store.close()
        return result
    } catch {
        try? await store.close()
        throw error
    }
}

func draft(_ gross: Int = 500, id: String? = nil, message: String = "") throws -> TipDraft {
    try TipDraft(
        validating: TipFields(id: id, displayName: "Jamie", grossAmountInCents: gross, message: message), now: noon)
}

func keyRecord(
    _ key: APIKey, id: String = "k1", account: Account.ID, scopes: [Scope] = [.eventsRead],
    pages: Set<Page.ID>? = nil, expiresAt: Timestamp? = nil
) -> KeyRecord {
    KeyRecord(
        id: id, prefix: key.prefix, hash: key.hash, name: "test", account: account, scopes: scopes, pages: pages,
        createdAt: noon, expiresAt: expiresAt)
}

extension Directory {
    func makeAccount(_ name: String) async throws -> Account {
        try await createAccount(NewAccount(name: Slug(name)!, passwordHash: nil, createdAt: noon))
    }

    func makePage(_ slug: String, of owner: Account.ID) async throws -> Page {
        try await createPage(
            NewPage(
                slug: Slug(slug)!, title: slug, customURL: nil, currency: .usd, owner: owner, createdAt: noon))
    }
}

extension LogAnswer {
    /// The tip of an answer that is about one.
    var tip: Tip {
        guard case .tip(let tip) = subject else { preconditionFailure("not about a tip: \(subject)") }
        return tip
    }
}
