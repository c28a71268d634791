import NIOCore
import TipwireCore
import TipwireStore
import TipwireWire

/// A webhook as it is held in memory.
public struct Webhook: Sendable, Identifiable {
    public let number: WebhookNumber
    public internal(set) var subscription: EventSubscription
    /// As its maker wrote it, in one spelling.
    public let callback: String
    /// The callback read again by today's settings, which may refuse what they once allowed.
    let target: Result<CallbackURL, CallbackRefusal>
    public internal(set) var secrets: SecretRing
    /// Why nothing is sent; nil while it is enabled.
    public internal(set) var disabled: DisabledReason?
    /// Since when it had only failed when it was disabled, or when the store was last asked; of one that this process sends to
    /// the scheduler knows.
    var hadFailedSince: Timestamp?
    /// What the log has been read through for it; nil: it is level with the others.
    var position: Int64?
    /// What each of its messages begins with.
    let beginning: ByteBuffer

    public var id: String { subscription.id }
    public var isEnabled: Bool { disabled == nil }

    init(
        number: WebhookNumber, subscription: EventSubscription, callback: String, policy: CallbackPolicy,
        secrets: SecretRing, disabled: DisabledReason? = nil, hadFailedSince: Timestamp? = nil, position: Int64?
    ) {
        self.number = number
        self.subscription = subscription
        self.callback = callback
        target = Result { () throws(CallbackRefusal) in try CallbackURL(callback, policy: policy) }
        self.secrets = secrets
        self.disabled = disabled
        self.hadFailedSince = hadFailedSince
        self.position = position
        beginning = EventSubMessage.beginning(subscription, transport: .webhook(callback: callback))
    }

    /// - Throws: `StoreUnusable` when its secrets can't be read.
    init(_ stored: StoredWebhook, policy: CallbackPolicy) throws {
        guard let secrets = SecretRing(stored.secrets) else {
            throw StoreUnusable("the secrets of the webhook \(stored.subscription.id) can't be read")
        }
        self.init(
            number: stored.number, subscription: stored.subscription, callback: stored.callback, policy: policy,
            secrets: secrets, disabled: stored.disabled, hadFailedSince: stored.failingSince, position: stored.position)
    }

    /// Why nothing can be sent to it by today's settings, as far as its callback alone tells: a name may lead anywhere.
    var refusal: CallbackRefusal? {
        if case .failure(let refusal) = target { refusal } else { nil }
    }

    /// The whole message: its own beginning, and what follows for the event.
    func message(_ rest: ByteBuffer) -> ByteBuffer {
        var message = beginning
        message.reserveCapacity(beginning.readableBytes + rest.readableBytes)
        message.writeImmutableBuffer(rest)
        return message
    }
}

/// All webhooks in memory, found by whatever names them. It changes seldom: readers take it as it is, and what changes with
/// every delivery is kept elsewhere.
struct WebhookRoster: Sendable {
    private(set) var webhooks: [WebhookNumber: Webhook] = [:]
    private var numbers: [String: WebhookNumber] = [:]
    private var numbersByPage: [Page.ID: Set<WebhookNumber>] = [:]
    private(set) var enabledCount = 0
    /// Those that are enabled and not level.
    private(set) var unlevel: Set<WebhookNumber> = []
    /// What the log has been read through for all that are level.
    var level: Int64

    init(level: Int64) { self.level = level }

    subscript(id: String) -> Webhook? { numbers[id].flatMap { webhooks[$0] } }
    subscript(number: WebhookNumber) -> Webhook? { webhooks[number] }

    func webhooks(of page: Page.ID) -> [Webhook] {
        (numbersByPage[page] ?? []).compactMap { webhooks[$0] }
    }

    /// In the order of their making.
    func list(where condition: (Webhook) -> Bool) -> [Webhook] {
        webhooks.values.filter(condition).sorted { $0.number < $1.number }
    }

    /// What the log has been read through for one.
    func position(of webhook: Webhook) -> Int64 { webhook.position ?? level }

    mutating func put(_ webhook: Webhook) {
        _ = remove(webhook.number)
        webhooks[webhook.number] = webhook
        numbers[webhook.id] = webhook.number
        numbersByPage[webhook.subscription.page, default: []].insert(webhook.number)
        guard webhook.isEnabled else { return }
        enabledCount += 1
        if webhook.position != nil { unlevel.insert(webhook.number) }
    }

    mutating func remove(_ number: WebhookNumber) -> Webhook? {
        guard let webhook = webhooks.removeValue(forKey: number) else { return nil }
        numbers[webhook.id] = nil
        numbersByPage[webhook.subscription.page]?.remove(number)
        if numbersByPage[webhook.subscription.page]?.isEmpty == true { numbersByPage[webhook.subscription.page] = nil }
        if webhook.isEnabled { enabledCount -= 1 }
        unlevel.remove(number)
        return webhook
    }

    /// Changes one, if it is there.
    mutating func change(_ number: WebhookNumber, _ change: (inout Webhook) -> Void) {
        guard var webhook = webhooks[number] else { return }
        change(&webhook)
        put(webhook)
    }
}
