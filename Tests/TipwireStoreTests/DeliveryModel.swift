import TipwireCore
import TipwireStore

/// Webhooks and their deliveries as plain values: what a store must be indistinguishable from.
struct DeliveryModel {
    private(set) var level: Int64 = 0
    private(set) var webhooks: [WebhookNumber: Webhook] = [:]

    struct Webhook {
        var stored: StoredWebhook
        var deliveries: [DeliveryID: Entry] = [:]
    }

    struct Entry {
        var delivery: StoredDelivery
        var attempts: [Int: StoredAttempt] = [:]
    }

    // MARK: Webhooks

    mutating func create(_ webhook: StoredWebhook) { webhooks[webhook.number] = Webhook(stored: webhook) }
    mutating func delete(_ number: WebhookNumber) { webhooks[number] = nil }

    mutating func update(_ number: WebhookNumber, disabled: DisabledReason?, key: String?) {
        let level = level
        webhooks[number]?.stored.change {
            $0.disabled = disabled
            if disabled != nil { $0.position = $0.position ?? level }
            $0.key = key
            if disabled == nil { $0.failingSince = nil }
        }
    }

    mutating func setSecrets(_ secrets: [StoredSecret], of number: WebhookNumber) {
        webhooks[number]?.stored.change { $0.secrets = secrets }
    }

    // MARK: Deliveries

    mutating func dispatch(_ dispatch: WebhookDispatch) -> Set<DeliveryID> {
        level = max(level, dispatch.level)
        for (number, position) in dispatch.positions {
            webhooks[number]?.stored.change {
                $0.position = $0.disabled == nil ? position : position ?? $0.position
            }
        }
        var added: [WebhookNumber: Int] = [:]
        for new in dispatch.deliveries where add(new.id, createdAt: new.createdAt, testID: nil) {
            added[new.id.webhook, default: 0] += 1
        }
        var displaced: Set<DeliveryID> = []
        for (number, room) in dispatch.room {
            guard let new = added[number] else { continue }
            for id in pending(number).prefix(max(0, new - room)) {
                change(id) { $0.state = .dead(.tooManyPending) }
                displaced.insert(id)
            }
        }
        return displaced
    }

    mutating func createTest(
        of number: WebhookNumber, after sequence: Int64, id: String, at now: Timestamp
    ) -> DeliveryID? {
        guard let webhook = webhooks[number] else { return nil }
        let sequence = max(sequence, webhook.stored.position ?? level)
        let last = webhook.deliveries.keys.filter { $0.sequence == sequence }.map(\.test).max() ?? 0
        let delivery = DeliveryID(webhook: number, sequence: sequence, test: last + 1)
        _ = add(delivery, createdAt: now, testID: id)
        return delivery
    }

    /// - Returns: whether it is new.
    private mutating func add(_ id: DeliveryID, createdAt: Timestamp, testID: String?) -> Bool {
        guard webhooks[id.webhook]?.deliveries[id] == nil else { return false }
        webhooks[id.webhook]?.deliveries[id] = Entry(
            delivery: StoredDelivery(
                id: id, createdAt: createdAt, state: .first, attempts: 0, round: 0, last: nil, testID: testID))
        return true
    }

    mutating func record(_ progress: [DeliveryProgress], standings: [WebhookNumber: EndpointStanding]) {
        for step in progress {
            guard let entry = webhooks[step.id.webhook]?.deliveries[step.id],
                entry.delivery.state.isPending || step.state == .delivered
            else { continue }
            if let attempt = step.attempt {
                webhooks[step.id.webhook]!.deliveries[step.id]!.attempts[attempt.number] = attempt
            }
            change(step.id) {
                $0.state = step.state
                $0.attempts = max($0.attempts, step.attempt?.number ?? 0)
                $0.round = step.round
            }
        }
        for (number, standing) in standings {
            let level = level
            webhooks[number]?.stored.change {
                $0.failingSince = standing.failingSince
                $0.disabled = $0.disabled ?? standing.disabled
                if $0.disabled != nil { $0.position = $0.position ?? level }
            }
        }
    }

    mutating func retry(_ ids: [DeliveryID], at now: Timestamp) -> RetriedDeliveries {
        var revived = 0
        for id in ids {
            change(id) {
                if !$0.state.isPending { revived += 1 }
                if $0.state != .first { $0.state = .retry(due: now) }
                $0.round = 0
            }
        }
        return RetriedDeliveries(count: ids.count, revived: revived)
    }

    mutating func trim(_ number: WebhookNumber, keeping keep: Int, prunedThrough: Int64) -> Int {
        let ended = deliveries(number).filter { !$0.state.isPending }
        let lost = DeliveryID(webhook: number, sequence: prunedThrough)
        let left = ended.filter { $0.id > lost }.prefix(keep)
        for delivery in ended where !left.contains(delivery) {
            webhooks[number]!.deliveries[delivery.id] = nil
        }
        return ended.count - left.count
    }

    private mutating func change(_ id: DeliveryID, _ body: (inout StoredDelivery.Draft) -> Void) {
        guard let entry = webhooks[id.webhook]?.deliveries[id] else { return }
        var draft = StoredDelivery.Draft(entry.delivery)
        body(&draft)
        webhooks[id.webhook]!.deliveries[id]!.delivery = draft.made(of: entry)
    }

    // MARK: Reading

    /// Newest first.
    func deliveries(_ number: WebhookNumber) -> [StoredDelivery] {
        (webhooks[number]?.deliveries.values).map { $0.map(\.delivery).sorted { $0.id > $1.id } } ?? []
    }

    func pending(_ number: WebhookNumber) -> [DeliveryID] {
        deliveries(number).filter(\.state.isPending).map(\.id).reversed()
    }

    func firsts(_ number: WebhookNumber) -> [DeliveryID] {
        deliveries(number).filter { $0.state == .first }.map(\.id).reversed()
    }

    func retries(_ number: WebhookNumber) -> [(id: DeliveryID, due: Timestamp)] {
        deliveries(number).compactMap { delivery in
            if case .retry(let due) = delivery.state { (delivery.id, due) } else { nil }
        }.sorted { ($0.due, $0.id) < ($1.due, $1.id) }
    }

    func backlog(_ number: WebhookNumber) -> WebhookBacklog {
        WebhookBacklog(
            pending: pending(number).count, firsts: firsts(number).count, earliestRetry: retries(number).first?.due)
    }
}

// MARK: - Changes to values that have none

extension StoredWebhook {
    fileprivate struct Draft {
        var secrets: [StoredSecret]
        var position: Int64?
        var disabled: DisabledReason?
        var failingSince: Timestamp?
        var key: String?
    }

    fileprivate mutating func change(_ body: (inout Draft) -> Void) {
        var draft = Draft(
            secrets: secrets, position: position, disabled: disabled, failingSince: failingSince, key: subscription.key)
        body(&draft)
        self = StoredWebhook(
            number: number,
            subscription: EventSubscription(
                id: subscription.id, page: subscription.page, account: subscription.account, key: draft.key,
                type: subscription.type, condition: subscription.condition, createdAt: subscription.createdAt),
            callback: callback, secrets: draft.secrets, position: draft.position, disabled: draft.disabled,
            failingSince: draft.failingSince)
    }
}

extension StoredDelivery {
    fileprivate struct Draft {
        var state: DeliveryState
        var attempts: Int
        var round: Int

        init(_ delivery: StoredDelivery) {
            state = delivery.state
            attempts = delivery.attempts
            round = delivery.round
        }

        func made(of entry: DeliveryModel.Entry) -> StoredDelivery {
            StoredDelivery(
                id: entry.delivery.id, createdAt: entry.delivery.createdAt, state: state, attempts: attempts,
                round: round, last: entry.attempts[attempts], testID: entry.delivery.testID)
        }
    }
}
