import TipwireCore

/// Webhooks and their deliveries: all that a crash must not lose.
///
/// Every method is one durable transaction. A webhook goes with its page and its account, and its deliveries go with it;
/// what names one that is gone does nothing. It outlives its key, disabled: whoever made it must be able to see why
/// nothing comes.
public protocol WebhookStore: Sendable {
    func webhooks() async throws -> WebhookSnapshot
    /// Throws `DirectoryRefusal.missingReference` when the page or the account is gone.
    func createWebhook(
        _ subscription: EventSubscription, callback: String, secret: StoredSecret, position: Int64
    ) async throws -> WebhookNumber
    func deleteWebhook(_ number: WebhookNumber) async throws
    /// Keeps why a webhook is disabled, nil when it isn't any more, and whose it is. An enabled one has not failed yet.
    ///
    /// One that is disabled stays where it stands in the log, which is the level if it is level with the others; enabled, it
    /// goes on from there. Only the store knows where that is: the log may be read for it by another node.
    func updateWebhook(_ number: WebhookNumber, disabled: DisabledReason?, key: String?) async throws
    /// Replaces all secrets of a webhook, of which there is at least one, by what `change` makes of them. It may be called
    /// more than once, and waits for nothing.
    ///
    /// - Returns: the new ones; nil when the webhook is gone.
    func changeSecrets(
        of number: WebhookNumber, _ change: @escaping @Sendable ([StoredSecret]) throws -> [StoredSecret]
    ) async throws -> [StoredSecret]?

    /// Keeps new deliveries and how far the log has been read for them: both or neither, so that an event is never
    /// forgotten and never delivered anew. A delivery that is there already stays as it is.
    ///
    /// Throws `SendingElsewhere` when it is another node that sends, and `WebhooksChanged` when other nodes have changed webhooks
    /// since this one read them last (`webhooks`): one of them may be disabled or gone by now, or have another secret. Nothing is
    /// kept then.
    func dispatch(_ dispatch: WebhookDispatch) async throws -> WebhookDispatch.Outcome
    /// Keeps a test delivery to `webhook`, the last one so far: behind `sequence`, or behind what there are deliveries of when
    /// that is further. Throws `DirectoryRefusal.missingReference` when it is gone.
    func createTest(
        of webhook: WebhookNumber, after sequence: Int64, id: String, body: EventBody, page: PageLabel,
        at now: Timestamp
    ) async throws -> DeliveryID

    /// Keeps attempts and what follows from them. Of a delivery that isn't pending any more only a success is kept: it did
    /// arrive.
    func record(_ progress: [DeliveryProgress], standings: [WebhookNumber: EndpointStanding]) async throws
    /// Puts deliveries back to the beginning of the schedule, due at once. One that still waits for its first attempt stays
    /// where it is.
    ///
    /// - Returns: how many, and how many of them were not pending before.
    func retry(
        _ selection: RetrySelection, of webhook: WebhookNumber, at now: Timestamp
    ) async throws -> RetriedDeliveries
    /// The same for one.
    func retry(_ id: DeliveryID, at now: Timestamp) async throws -> RetriedDeliveries

    /// Deliveries without an attempt behind `id`, in order.
    func firsts(of webhook: WebhookNumber, after id: DeliveryID?, limit: Int) async throws -> [DeliveryID]
    /// Deliveries that wait for another attempt, the earliest due first.
    func retries(of webhook: WebhookNumber, limit: Int) async throws -> [(id: DeliveryID, due: Timestamp)]
    func backlog(of webhook: WebhookNumber) async throws -> WebhookBacklog
    /// When somebody last asked for an attempt, by a retry or a test, that hasn't been made yet; of each webhook of which
    /// there is one.
    func asked() async throws -> [WebhookNumber: Timestamp]

    func delivery(_ id: DeliveryID) async throws -> StoredDelivery?
    /// How many dead letters each has; none is left out or 0.
    func deadCounts(of webhooks: [WebhookNumber]) async throws -> [WebhookNumber: Int]
    /// What a test tells of; every other delivery tells of an event of the log.
    func testContent(of id: DeliveryID) async throws -> EventBody?
    /// The delivery of a test by the id of its message.
    func test(_ id: String, of webhook: WebhookNumber) async throws -> DeliveryID?
    /// Newest first, those before `id` only.
    func deliveries(
        of webhook: WebhookNumber, kind: DeliveryKind?, before id: DeliveryID?, limit: Int
    ) async throws -> [StoredDelivery]
    /// Oldest first.
    /// Where the events of a tip were sent by the page's webhooks: what it caused when it was new, and its refund.
    func deliveries(ofTip tip: TipIdentifier, page: Page.ID) async throws -> [TipDelivery]
    func attempts(of id: DeliveryID) async throws -> [StoredAttempt]

    /// Removes deliveries that have ended: those past the newest `keep` of a webhook, and those whose event is no longer in
    /// the log.
    /// At most `limit` a call, the oldest first, so that no call holds the writer for long.
    ///
    /// - Returns: how many were removed; when it is `limit` there may be more.
    func trimDeliveries(of webhook: WebhookNumber, keeping keep: Int, limit: Int) async throws -> Int
}

/// What a retry by hand did.
public struct RetriedDeliveries: Hashable, Sendable {
    public let count: Int
    /// Those that had ended, and are pending again.
    public let revived: Int

    public init(count: Int, revived: Int) {
        self.count = count
        self.revived = revived
    }
}
