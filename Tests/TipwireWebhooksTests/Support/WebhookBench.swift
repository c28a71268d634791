import Foundation
import Logging
import ServiceLifecycle
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireTestSupport
import TipwireWire

@testable import TipwireWebhooks

let silence = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A real store in a folder of its own, a clock and a sender: what outlives an engine. `ada` owns `main` and `side`.
struct WebhookBench: Sendable {
    let store: WebhookStoreDouble
    let clock = DeliveryClockDouble()
    let sender = SenderDouble()
    let ada: Account
    let main: Page
    let side: Page

    static func run(_ body: @Sendable (WebhookBench) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tipwire-webhooks-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteStore.open(at: folder.appending(path: "tipwire.db").path)
        do {
            try await body(try await WebhookBench(WebhookStoreDouble(store)))
        } catch {
            try? await store.close()
            throw error
        }
        try await store.close()
    }

    private init(_ store: WebhookStoreDouble) async throws {
        self.store = store
        let now = clock.now()
        let ada = try await store.createAccount(NewAccount(name: Slug("ada")!, passwordHash: nil, createdAt: now))
        func page(_ slug: String) async throws -> Page {
            try await store.createPage(
                NewPage(slug: Slug(slug)!, title: slug, customURL: nil, currency: .usd, owner: ada.id, createdAt: now))
        }
        main = try await page("main")
        side = try await page("side")
        self.ada = ada
    }

    /// Runs an engine while `body` lasts, and then cuts it off, as a crash does.
    ///
    /// - Parameter node: what the one of several nodes sends with; it rests until it is told to send. Nil: it is alone.
    func live(
        _ settings: WebhookEngine.Settings = .init(), resolver: ResolverDouble = ResolverDouble("1.1.1.1"),
        node: SenderDouble? = nil, _ body: @Sendable (WebhookLife) async throws -> Void
    ) async throws {
        let life = try await WebhookLife(self, settings, resolver, node)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await life.engine.run() }
            defer { group.cancelAll() }
            try await body(life)
        }
    }

    /// One life whose one delivery failed, and waits for another attempt.
    func leaveRetry() async throws {
        sender.behave { _ in .answer(500) }
        try await live { life in
            let webhook = try await life.make()
            try await life.tip()
            try await eventually { life.engine.standing(of: webhook).nextRetry != nil }
        }
    }
}

/// Runs an engine over a store of its own while `body` lasts.
func withWebhooks(
    _ change: (inout WebhookEngine.Settings) -> Void = { _ in }, resolver: ResolverDouble = ResolverDouble("1.1.1.1"),
    _ body: @Sendable (WebhookLife) async throws -> Void
) async throws {
    var settings = WebhookEngine.Settings()
    change(&settings)
    let chosen = settings
    try await WebhookBench.run { bench in try await bench.live(chosen, resolver: resolver, body) }
}

/// One engine, from its start to its end.
struct WebhookLife: Sendable {
    let bench: WebhookBench
    let sender: SenderDouble
    let directory: TipwireHub.Directory
    let position: LogPosition
    let wakeUp = WakeUp()
    let quota: SubscriptionQuota
    let engine: WebhookEngine

    init(
        _ bench: WebhookBench, _ settings: WebhookEngine.Settings, _ resolver: ResolverDouble,
        _ node: SenderDouble? = nil
    ) async throws {
        self.bench = bench
        sender = node ?? bench.sender
        directory = try await TipwireHub.Directory(store: bench.store)
        position = LogPosition(try await bench.store.bounds())
        quota = SubscriptionQuota(limits: .init(perKey: 200, perPage: 400, creationsPerMinute: 1_000))
        engine = try await WebhookEngine(
            settings: settings, store: bench.store, directory: directory, position: position, wakeUp: wakeUp,
            encoder: EventEncoder(directory: directory, position: position) { "http://tipwire.test" },
            quota: quota, check: TargetCheck(addresses: settings.policy.addresses, resolver: resolver),
            sender: sender, clock: bench.clock, isShared: node != nil, logger: silence)
    }

    var store: WebhookStoreDouble { bench.store }
    var clock: DeliveryClockDouble { bench.clock }
    var main: Page { bench.main }

    // MARK: Doing

    /// Makes a webhook of `ada`'s own, or of a key's.
    func make(
        _ callback: String = "https://hook.example/", of page: Page? = nil, type: EventSubType = .alerts,
        atLeast cents: Int? = nil, key: String? = nil, secret: WebhookSecret? = nil
    ) async throws -> Webhook {
        let condition = cents.map { EventSubCondition(minimumAmountInCents: $0, minimumAmount: "\($0 / 100).00") }
        return try await engine.create(
            WebhookWish(
                page: page ?? main, account: bench.ada.id, key: key, type: type, condition: condition,
                callback: callback, secret: secret))
    }

    /// A key of `ada`'s.
    func makeKey(_ id: String = "k1", expiresAt: Timestamp? = nil) async throws -> String {
        let key = APIKey.random()
        try await directory.createKey(
            KeyRecord(
                id: id, prefix: key.prefix, hash: key.hash, name: "test", account: bench.ada.id, scopes: [.manage],
                pages: nil, createdAt: clock.now(), expiresAt: expiresAt))
        return id
    }

    /// Commits tips, all at once.
    ///
    /// - Returns: the ids of their messages.
    @discardableResult
    func tip(_ count: Int = 1, cents: Int = 500, to page: Page? = nil) async throws -> [String] {
        let drafts = try (0..<count).map { _ in
            try TipDraft(
                validating: TipFields(displayName: "Jamie", grossAmountInCents: cents, message: ""), now: clock.now())
        }
        let commit = try await store.commit(
            [.receive(page: (page ?? main).id, drafts: drafts, idempotencyKey: nil)], at: clock.now())
        let events = try commit.results[0].get().flatMap(\.events)
        position.advance(to: commit.bounds)
        wakeUp.signal(events)
        return events.map { Cursor(epoch: position.epoch, sequence: $0.sequence).description }
    }

    // MARK: Looking

    func pending(_ webhook: Webhook) -> Int { engine.subscriptions.pending(of: webhook.number) }
    func now(_ webhook: Webhook) -> Webhook? { engine.subscriptions[webhook.id] }

    /// A webhook's deliveries, oldest first.
    func deliveries(_ webhook: Webhook) async throws -> [StoredDelivery] {
        try await store.deliveries(of: webhook.number, kind: nil, before: nil, limit: 10_000).reversed()
    }

    func states(_ webhook: Webhook) async throws -> [DeliveryState] { try await deliveries(webhook).map(\.state) }

    /// Returns when all that is in the log has become deliveries, and none of a webhook's waits.
    func settled(_ webhook: Webhook) async throws {
        try await dispatched()
        try await eventually { pending(webhook) == 0 }
    }

    /// Returns when all that is in the log has become deliveries.
    func dispatched() async throws {
        try await eventually { engine.subscriptions.roster.level >= position.bounds.head }
    }

    /// Moves the clock to the next attempt of a webhook's delivery, and returns when it has begun; nothing else has been due
    /// before.
    ///
    /// What is being read anew shows as due now. A row that was read before its last attempt does so until the pause of the
    /// breaker is over; then it is found out, and the clock moves once more.
    func reachNextRetry(_ webhook: Webhook, after time: Timestamp) async throws {
        let count = sender.attempts.value.count
        while sender.attempts.value.count == count {
            var due = time
            try await eventually {
                guard sender.attempts.value.count == count else { return true }
                let standing = engine.standing(of: webhook)
                guard let next = standing.nextRetry else { return false }
                due = max(next, standing.pausedUntil ?? next)
                return due > max(time, clock.now())
            }
            clock.advance(to: due)
        }
    }
}

/// Waits for something that can only be looked at, giving way to everyone else between looks.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}
