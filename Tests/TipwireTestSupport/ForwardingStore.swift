import TipwireCore
import TipwireStore

/// A store that hands everything on to a real one. A double of it has what it does otherwise, and nothing else.
public protocol ForwardingStore: Store {
    var real: SQLiteStore { get }
    /// For a double whose writer has something else to do first.
    func beforeTake() async throws
    /// What `commit` does, for a double that waits or fails.
    func commit(_ commands: [LogCommand], at now: Timestamp) async throws -> Commit
}

extension ForwardingStore {
    public func beforeTake() async throws {}

    public func bounds() async throws -> LogBounds {
        try await real.bounds()
    }

    public func commit(_ commands: [LogCommand], at now: Timestamp) async throws -> Commit {
        try await real.commit(commands, at: now)
    }

    public func commit(
        _ takeBatch: @escaping @Sendable () -> LogBatch, answer: @escaping @Sendable (Result<Commit, any Error>) -> Void
    ) {
        Task {
            let outcome: Result<Commit, any Error>
            do {
                try await beforeTake()
                let batch = takeBatch()
                outcome = .success(try await commit(batch.commands, at: batch.now))
            } catch {
                outcome = .failure(error)
            }
            answer(outcome)
        }
    }

    public func events(after sequence: Int64, pages: PageSelection, limit: Int) async throws -> EventSlice {
        try await real.events(after: sequence, pages: pages, limit: limit)
    }

    public func prune(olderThan horizon: Timestamp, keepingBytes bytes: Int64, limit: Int) async throws -> Pruning {
        try await real.prune(olderThan: horizon, keepingBytes: bytes, limit: limit)
    }

    public func logStatistics() async throws -> LogStatistics {
        try await real.logStatistics()
    }
}

extension ForwardingStore {
    public func tips(page: Page.ID, before: Int64?, limit: Int) async throws -> [StoredTip] {
        try await real.tips(page: page, before: before, limit: limit)
    }

    public func search(
        page: Page.ID, before: Int64?, limit: Int, for filter: TipFilter
    ) async throws -> TipSearch {
        try await real.search(page: page, before: before, limit: limit, for: filter)
    }

    public func tip(page: Page.ID, id: TipIdentifier) async throws -> StoredTip? {
        try await real.tip(page: page, id: id)
    }
}

extension ForwardingStore {
    public func credits(page: Page.ID, tip: TipIdentifier) async throws -> [GoalCredit] {
        try await real.credits(page: page, tip: tip)
    }

    public func goals(page: Page.ID) async throws -> GoalQueue {
        try await real.goals(page: page)
    }
}

extension ForwardingStore {
    public func socketSubscriptions() async throws -> [StoredSocket] {
        try await real.socketSubscriptions()
    }

    public func createSocketSubscription(_ socket: StoredSocket) async throws {
        try await real.createSocketSubscription(socket)
    }

    public func deleteSocketSubscriptions(_ ids: [String]) async throws {
        try await real.deleteSocketSubscriptions(ids)
    }

    public func recordSocketPositions(_ positions: SocketPositions) async throws {
        try await real.recordSocketPositions(positions)
    }
}

extension ForwardingStore {
    public func webhooks() async throws -> WebhookSnapshot {
        try await real.webhooks()
    }

    public func createWebhook(
        _ subscription: EventSubscription, callback: String, secret: StoredSecret, position: Int64
    ) async throws -> WebhookNumber {
        try await real.createWebhook(subscription, callback: callback, secret: secret, position: position)
    }

    public func deleteWebhook(_ number: WebhookNumber) async throws {
        try await real.deleteWebhook(number)
    }

    public func updateWebhook(_ number: WebhookNumber, disabled: DisabledReason?, key: String?) async throws {
        try await real.updateWebhook(number, disabled: disabled, key: key)
    }

    public func changeSecrets(
        of number: WebhookNumber, _ change: @escaping @Sendable ([StoredSecret]) throws -> [StoredSecret]
    ) async throws -> [StoredSecret]? {
        try await real.changeSecrets(of: number, change)
    }

    public func asked() async throws -> [WebhookNumber: Timestamp] { try await real.asked() }

    public func dispatch(_ dispatch: WebhookDispatch) async throws -> WebhookDispatch.Outcome {
        try await real.dispatch(dispatch)
    }

    public func createTest(
        of webhook: WebhookNumber, after sequence: Int64, id: String, body: EventBody, page: PageLabel,
        at now: Timestamp
    ) async throws -> DeliveryID {
        try await real.createTest(of: webhook, after: sequence, id: id, body: body, page: page, at: now)
    }

    public func record(_ progress: [DeliveryProgress], standings: [WebhookNumber: EndpointStanding]) async throws {
        try await real.record(progress, standings: standings)
    }

    public func retry(_ selection: RetrySelection, of webhook: WebhookNumber, at now: Timestamp) async throws
        -> RetriedDeliveries
    {
        try await real.retry(selection, of: webhook, at: now)
    }

    public func retry(_ id: DeliveryID, at now: Timestamp) async throws -> RetriedDeliveries {
        try await real.retry(id, at: now)
    }

    public func firsts(of webhook: WebhookNumber, after id: DeliveryID?, limit: Int) async throws -> [DeliveryID] {
        try await real.firsts(of: webhook, after: id, limit: limit)
    }

    public func retries(of webhook: WebhookNumber, limit: Int) async throws -> [(id: DeliveryID, due: Timestamp)] {
        try await real.retries(of: webhook, limit: limit)
    }

    public func backlog(of webhook: WebhookNumber) async throws -> WebhookBacklog {
        try await real.backlog(of: webhook)
    }

    public func delivery(_ id: DeliveryID) async throws -> StoredDelivery? {
        try await real.delivery(id)
    }

    public func testContent(of id: DeliveryID) async throws -> EventBody? {
        try await real.testContent(of: id)
    }

    public func test(_ id: String, of webhook: WebhookNumber) async throws -> DeliveryID? {
        try await real.test(id, of: webhook)
    }

    public func deliveries(of webhook: WebhookNumber, kind: DeliveryKind?, before id: DeliveryID?, limit: Int)
        async throws -> [StoredDelivery]
    {
        try await real.deliveries(of: webhook, kind: kind, before: id, limit: limit)
    }

    public func deliveries(ofTip tip: TipIdentifier, page: Page.ID) async throws -> [TipDelivery] {
        try await real.deliveries(ofTip: tip, page: page)
    }

    public func attempts(of id: DeliveryID) async throws -> [StoredAttempt] {
        try await real.attempts(of: id)
    }

    public func deadCounts(of webhooks: [WebhookNumber]) async throws -> [WebhookNumber: Int] {
        try await real.deadCounts(of: webhooks)
    }

    public func trimDeliveries(of webhook: WebhookNumber, keeping keep: Int, limit: Int) async throws -> Int {
        try await real.trimDeliveries(of: webhook, keeping: keep, limit: limit)
    }
}

extension ForwardingStore {
    public func directory() async throws -> DirectorySnapshot {
        try await real.directory()
    }

    public func createAccount(_ new: NewAccount) async throws -> Account {
        try await real.createAccount(new)
    }

    public func passwordHash(of account: Account.ID) async throws -> String? {
        try await real.passwordHash(of: account)
    }

    public func setPasswordHash(_ hash: String, of account: Account.ID) async throws {
        try await real.setPasswordHash(hash, of: account)
    }

    public func createPage(_ new: NewPage) async throws -> Page {
        try await real.createPage(new)
    }

    public func updatePage(_ page: Page) async throws {
        try await real.updatePage(page)
    }

    public func deletePage(_ id: Page.ID) async throws {
        try await real.deletePage(id)
    }

    public func addMember(_ account: Account.ID, to page: Page.ID) async throws {
        try await real.addMember(account, to: page)
    }

    public func removeMember(_ account: Account.ID, from page: Page.ID) async throws {
        try await real.removeMember(account, from: page)
    }

    public func createKey(_ key: KeyRecord) async throws {
        try await real.createKey(key)
    }

    public func deleteKey(_ id: String) async throws -> Bool {
        try await real.deleteKey(id)
    }

    public func recordKeyUse(_ uses: [String: Timestamp]) async throws {
        try await real.recordKeyUse(uses)
    }

    public func createLoginCode(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await real.createLoginCode(hash, account: account, expiresAt: expiresAt)
    }

    public func redeemLoginCode(_ hash: SecretHash, at now: Timestamp) async throws -> Account.ID? {
        try await real.redeemLoginCode(hash, at: now)
    }

    public func createSession(_ hash: SecretHash, account: Account.ID, expiresAt: Timestamp) async throws {
        try await real.createSession(hash, account: account, expiresAt: expiresAt)
    }

    public func session(_ hash: SecretHash, at now: Timestamp) async throws -> SessionRecord? {
        try await real.session(hash, at: now)
    }

    public func deleteSession(_ hash: SecretHash) async throws {
        try await real.deleteSession(hash)
    }

    public func deleteSessions(of account: Account.ID) async throws {
        try await real.deleteSessions(of: account)
    }

    public func deleteExpiredSessions(at now: Timestamp) async throws {
        try await real.deleteExpiredSessions(at: now)
    }
}

extension ForwardingStore {
    public func overlayView(page: Page.ID, tips: Int) async throws -> OverlayView {
        try await real.overlayView(page: page, tips: tips)
    }

    public func keep(_ reports: OverlayReports) async throws {
        try await real.keep(reports)
    }

    public func receipts(page: Page.ID, tips: [TipIdentifier]) async throws -> [TipIdentifier: [Receipt]] {
        try await real.receipts(page: page, tips: tips)
    }

    public func shownSequences(page: Page.ID, since time: Timestamp) async throws -> Set<Int64> {
        try await real.shownSequences(page: page, since: time)
    }

    public func screens(page: Page.ID) async throws -> [StoredScreen] {
        try await real.screens(page: page)
    }

    public func deleteScreen(_ place: OverlayPlace) async throws {
        try await real.deleteScreen(place)
    }

    public func statistics(page: Page.ID, over span: BucketedSpan) async throws -> PageStatistics {
        try await real.statistics(page: page, over: span)
    }
}
