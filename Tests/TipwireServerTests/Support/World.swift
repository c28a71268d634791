import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

@testable import TipwireServer

/// A folder that is gone when its owner is.
final class TemporaryFolder: Sendable {
    let path = NSTemporaryDirectory() + "tipwire-test-\(PublicID.random())"

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A clock that stands still until it is set.
final class SetClock: Sendable {
    private let time = Mutex(Timestamp(rfc3339: "2026-01-31T12:00:00Z")!)

    var now: Timestamp { time.withLock { $0 } }
    func advance(seconds: Int64) { time.withLock { $0 = $0.advanced(milliseconds: seconds * 1_000) } }
    var wall: WallClock { WallClock { self.now } }
}

/// Accounts and pages to try things on, without a server: `ada` owns `main` and `side`, `bob` is a member of `main`,
/// `eve` owns `other`.
struct World {
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let folder: TemporaryFolder
    let clock = SetClock()
    let store: SQLiteStore
    let directory: Directory
    let ada: Account
    let bob: Account
    let eve: Account
    let main: Page
    let side: Page
    let other: Page

    init() async throws {
        folder = try TemporaryFolder()
        store = try SQLiteStore.open(at: folder.path + "/tipwire.db")
        directory = try await Directory(store: store)
        let maker = Maker(directory: directory, clock: clock.wall)
        ada = try await maker.account("ada")
        bob = try await maker.account("bob")
        eve = try await maker.account("eve")
        main = try await maker.page("main", owner: ada)
        side = try await maker.page("side", owner: ada)
        other = try await maker.page("other", owner: eve)
        try await directory.addMember(bob.id, to: main.id)
    }

    var maker: Maker { Maker(directory: directory, clock: clock.wall) }

    /// EventSub's sockets beside a fan-out that has no loops, and so no listeners.
    func sockets() async throws -> SocketSubscriptions {
        let position = LogPosition(try await store.bounds())
        let encoder = EventEncoder(directory: directory, position: position, publicURL: { "" })
        let fanout = Fanout(
            eventLoops: [],
            settings: .init(
                idleSeconds: 120, probeSeconds: 45, maxLagBytes: 1 << 20, maxLagSeconds: 30, keepaliveSeconds: 15,
                maxStreamSeconds: 0),
            log: position,
            reader: CatchUpReader(
                store: store, directory: directory, encoder: encoder, metrics: HubMetrics(), logger: World.quiet),
            clock: clock.wall)
        return try await SocketSubscriptions(
            store: store, directory: directory, fanout: fanout, position: position, clock: clock.wall,
            quota: SubscriptionQuota(limits: .init(perKey: 3, perPage: 5, creationsPerMinute: 10)),
            windowSeconds: 120, logger: World.quiet)
    }
}

/// Makes accounts, pages and keys in a directory, past the API.
struct Maker {
    let directory: Directory
    let clock: WallClock

    func account(_ name: String, password hash: String? = nil) async throws -> Account {
        try await directory.createAccount(
            NewAccount(name: Slug(name)!, passwordHash: hash, createdAt: clock.now()))
    }

    func page(_ slug: String, owner: Account, currency: Currency = .usd) async throws -> Page {
        try await directory.createPage(
            NewPage(
                slug: Slug(slug)!, title: "Page \(slug)", customURL: nil, currency: currency, owner: owner.id,
                createdAt: clock.now()))
    }

    /// Returns the key's text.
    func key(
        _ account: Account, _ scopes: [Scope] = [.eventsRead], pages: [Page]? = nil, expiresAt: Timestamp? = nil
    ) async throws -> String {
        try await keyAndID(account, scopes, pages: pages, expiresAt: expiresAt).text
    }

    func keyAndID(
        _ account: Account, _ scopes: [Scope] = [.eventsRead], pages: [Page]? = nil, expiresAt: Timestamp? = nil
    ) async throws -> (text: String, id: String) {
        let key = APIKey.random()
        let record = KeyRecord(
            id: PublicID.random(), prefix: key.prefix, hash: key.hash, name: "test", account: account.id,
            scopes: scopes, pages: pages.map { Set($0.map(\.id)) }, createdAt: clock.now(), expiresAt: expiresAt)
        try await directory.createKey(record)
        return (key.reveal(), record.id)
    }
}
