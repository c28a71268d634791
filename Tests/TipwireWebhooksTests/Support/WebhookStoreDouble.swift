import Synchronization
import TipwireCore
import TipwireStore
import TipwireTestSupport

/// A real store whose webhooks a test can hold up and break, and that counts what is written.
final class WebhookStoreDouble: ForwardingStore {
    typealias Hook = @Sendable () async throws -> Void

    struct Hooks: Sendable {
        var beforeWebhooks: Hook?
        var beforeAsked: Hook?
        var beforeRecord: Hook?
        var beforeDispatch: Hook?
        /// Other nodes have changed webhooks since they were read.
        var isOutdated = false
        var beforeUpdate: Hook?
        var beforeFirsts: Hook?
        /// Between the read and its answer.
        var afterFirsts: Hook?
        /// Changes what a read of retries has found.
        var retries: (@Sendable (Timestamp) -> Timestamp)?
        /// Before events are read.
        var beforeEvents: Hook?
    }

    let real: SQLiteStore
    private let hooks = Mutex(Hooks())
    let dispatches = Watched(0)
    /// Ends of each transaction that kept some.
    let records = Watched<[[DeliveryProgress]]>([])
    let standings = Watched<[[WebhookNumber: EndpointStanding]]>([])

    init(_ real: SQLiteStore) { self.real = real }

    func hook(_ change: @Sendable (inout Hooks) -> Void) { hooks.withLock { change(&$0) } }

    private func run(_ hook: @Sendable (Hooks) -> Hook?) async throws {
        try await hook(hooks.withLock { $0 })?()
    }

    func webhooks() async throws -> WebhookSnapshot {
        try await run { $0.beforeWebhooks }
        hooks.withLock { $0.isOutdated = false }
        return try await real.webhooks()
    }

    func asked() async throws -> [WebhookNumber: Timestamp] {
        try await run { $0.beforeAsked }
        return try await real.asked()
    }

    func record(_ progress: [DeliveryProgress], standings: [WebhookNumber: EndpointStanding]) async throws {
        try await run { $0.beforeRecord }
        try await real.record(progress, standings: standings)
        self.standings.change { $0.append(standings) }
        records.change { $0.append(progress) }
    }

    func dispatch(_ dispatch: WebhookDispatch) async throws -> WebhookDispatch.Outcome {
        dispatches.change { $0 += 1 }
        try await run { $0.beforeDispatch }
        if hooks.withLock(\.isOutdated) { throw WebhooksChanged() }
        return try await real.dispatch(dispatch)
    }

    func updateWebhook(_ number: WebhookNumber, disabled: DisabledReason?, key: String?) async throws {
        try await run { $0.beforeUpdate }
        try await real.updateWebhook(number, disabled: disabled, key: key)
    }

    func firsts(of webhook: WebhookNumber, after id: DeliveryID?, limit: Int) async throws -> [DeliveryID] {
        try await run { $0.beforeFirsts }
        let firsts = try await real.firsts(of: webhook, after: id, limit: limit)
        try await run { $0.afterFirsts }
        return firsts
    }

    func retries(of webhook: WebhookNumber, limit: Int) async throws -> [(id: DeliveryID, due: Timestamp)] {
        let found = try await real.retries(of: webhook, limit: limit)
        guard let change = hooks.withLock({ $0.retries }) else { return found }
        return found.map { ($0.id, change($0.due)) }
    }

    func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice {
        try await run { $0.beforeEvents }
        return try await real.events(after: sequence, pages: pages, limit: limit)
    }
}

/// What a store that was told to break throws.
struct BrokenStore: Error {}
