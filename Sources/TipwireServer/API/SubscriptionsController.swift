import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks
import TipwireWire

/// Webhooks and their deliveries, for those who run pages.
struct SubscriptionsController: Sendable {
    let directory: Directory
    let webhooks: WebhookEngine
    let store: any WebhookStore

    func addRoutes(to router: APIRouter) {
        let base = "/api/v1/subscriptions"
        router.on(.post, base, scope: .manage, create)
        router.on(.get, base, scope: .manage, list)
        router.on(.get, "\(base)/{id}", scope: .manage, show)
        router.on(.patch, "\(base)/{id}", scope: .manage, change)
        router.on(.delete, "\(base)/{id}", scope: .manage, remove)
        router.on(.post, "\(base)/{id}/secret/rotate", scope: .manage, rotate)
        router.on(.post, "\(base)/{id}/test", scope: .manage, test)
        router.on(.post, "\(base)/{id}/retry", scope: .manage, retryMany)
        router.on(.get, "\(base)/{id}/deliveries", scope: .manage, deliveries)
        router.on(.get, "\(base)/{id}/deliveries/{delivery}", scope: .manage, delivery)
        router.on(.post, "\(base)/{id}/deliveries/{delivery}/retry", scope: .manage, retry)
    }

    // MARK: Webhooks

    @Sendable func create(_ call: Call) async throws -> Response {
        let wish = try SubscriptionInput.wish(
            try await call.json(), of: call.principal,
            page: { slug in directory.look { $0.page(slug: slug) }.flatMap { call.principal.maySee($0) ? $0 : nil } })
        let webhook = try await webhooks.create(wish)
        return answer(.created, webhook, secret: webhook.secrets.current, dead: 0)
    }

    @Sendable func list(_ call: Call) async throws -> Response {
        await webhooks.look()
        let view = directory.view
        let visible = webhooks.subscriptions.list { webhook in
            view.page(webhook.subscription.page).map(call.principal.maySee) ?? false
        }
        let (rows, next) = try Answer.page(of: visible, id: \.id, call: call)
        let dead = try await store.deadCounts(of: rows.map(\.number))
        return Answer.list(rows, next: next) { write($0, dead: dead[$0.number] ?? 0, to: &$1) }
    }

    @Sendable func show(_ call: Call) async throws -> Response {
        await webhooks.look()
        return try await answer(try webhook(call))
    }

    @Sendable func change(_ call: Call) async throws -> Response {
        let known = try webhook(call)
        var reader = try ObjectReader(try await call.json())
        let enabled = reader.bool("enabled")
        reader.require("enabled", enabled != nil)
        try reader.finish()
        if enabled == true {
            let webhook = try await webhooks.subscriptions.enable(known, key: call.principal.keyID)
            if let reason = webhook?.disabled {
                throw Problem(.conflict, "The subscription can't be enabled: \(reason.rawValue).")
            }
        } else {
            try await webhooks.subscriptions.disable(known)
        }
        return try await answer(try webhook(call))
    }

    @Sendable func remove(_ call: Call) async throws -> Response {
        try await webhooks.subscriptions.delete(try webhook(call))
        return Answer.noContent()
    }

    @Sendable func rotate(_ call: Call) async throws -> Response {
        let webhook = try webhook(call)
        let wish = try SubscriptionInput.rotation(try await call.jsonIfAny())
        let secret = wish.secret ?? .random()
        guard
            let overlapEnd = try await webhooks.subscriptions.rotate(
                webhook, to: secret, endsOthers: wish.endsOthers)
        else { throw Self.unknown }
        return Answer.json { writer in
            writer.beginObject()
            writer.member("connection_id", webhook.id)
            writer.member("secret", secret.reveal())
            writer.member("previous_expires_at", overlapEnd.unixSeconds)
            writer.endObject()
        }
    }

    @Sendable func test(_ call: Call) async throws -> Response {
        let webhook = try webhook(call)
        try await call.requireNoBody()
        guard webhook.isEnabled else {
            throw Problem(.conflict, "The subscription is disabled, and nothing is sent to it; enable it first.")
        }
        guard let id = try await webhooks.test(webhook) else { throw Self.unknown }
        return try await answer(.accepted, id, of: webhook)
    }

    // MARK: Deliveries

    @Sendable func deliveries(_ call: Call) async throws -> Response {
        let webhook = try webhook(call)
        try DeliveryQuery.requireOnly(["limit", "after", "state"], in: call.query)
        let limit = try call.rowLimit()
        let kind = try DeliveryQuery.kind(call.query.nonEmpty("state"))
        var before: DeliveryID?
        if let after = call.query.nonEmpty("after") {
            before = try await webhooks.delivery(after, of: webhook)
            guard before != nil else {
                throw InvalidInput(field: "after", "names a delivery that isn't there any more; begin the list again")
            }
        }
        let rows = try await store.deliveries(of: webhook.number, kind: kind, before: before, limit: limit + 1)
        let page = rows.prefix(limit)
        let next = rows.count > limit ? page.last.map { webhooks.messages.id(of: $0) } : nil
        return Answer.list(Array(page), next: next) { delivery, writer in
            writer.beginObject()
            write(delivery, of: webhook, to: &writer)
            writer.endObject()
        }
    }

    @Sendable func delivery(_ call: Call) async throws -> Response {
        let webhook = try webhook(call)
        let id = try await deliveryID(call, of: webhook)
        guard let delivery = try await store.delivery(id) else { throw Self.unknownDelivery }
        let attempts = try await store.attempts(of: id)
        let message = try await webhooks.messages.message(of: delivery, to: webhook)
        return Answer.json(capacity: 4_096) { writer in
            writer.beginObject()
            write(delivery, of: webhook, to: &writer)
            writer.key("request")
            if let message {
                writer.beginObject()
                writer.member("body", String(buffer: message.body))
                writer.endObject()
            } else {
                writer.null()
            }
            writer.key("log")
            writer.beginArray()
            for attempt in attempts { DeliveryObject.write(attempt, to: &writer) }
            writer.endArray()
            writer.endObject()
        }
    }

    @Sendable func retry(_ call: Call) async throws -> Response {
        let webhook = try webhook(call)
        try await call.requireNoBody()
        let id = try await deliveryID(call, of: webhook)
        guard try await webhooks.retry(id) else { throw Self.unknownDelivery }
        return try await answer(.accepted, id, of: webhook)
    }

    @Sendable func retryMany(_ call: Call) async throws -> Response {
        let webhook = try webhook(call)
        try await call.requireNoBody()
        let count = try await webhooks.retry(try DeliveryQuery.selection(call.query), of: webhook)
        return Answer.json(.accepted) { writer in
            writer.beginObject()
            writer.member("retried", count)
            writer.member("state", WebhookObject.state(of: webhook))
            writer.endObject()
        }
    }

    // MARK: Parts

    private static let unknown = Problem(.notFound, "There is no webhook subscription of this id.")
    private static let unknownDelivery = Problem(.notFound, "There is no delivery of this id.")

    private func webhook(_ call: Call) throws -> Webhook {
        guard let webhook = webhooks.subscriptions[try call.parameter("id")],
            directory.look({ $0.page(webhook.subscription.page) }).map(call.principal.maySee) ?? false
        else { throw Self.unknown }
        return webhook
    }

    private func deliveryID(_ call: Call, of webhook: Webhook) async throws -> DeliveryID {
        guard let id = try await webhooks.delivery(try call.parameter("delivery"), of: webhook) else {
            throw Self.unknownDelivery
        }
        return id
    }

    private func answer(_ webhook: Webhook) async throws -> Response {
        answer(.ok, webhook, dead: try await store.deadCounts(of: [webhook.number])[webhook.number] ?? 0)
    }

    private func answer(
        _ status: HTTPResponse.Status, _ webhook: Webhook, secret: WebhookSecret? = nil, dead: Int
    ) -> Response {
        Answer.json(status) { write(webhook, secret: secret, dead: dead, to: &$0) }
    }

    private func answer(
        _ status: HTTPResponse.Status, _ id: DeliveryID, of webhook: Webhook
    ) async throws -> Response {
        guard let delivery = try await store.delivery(id) else { throw Self.unknownDelivery }
        return Answer.json(status) { writer in
            writer.beginObject()
            write(delivery, of: webhook, to: &writer)
            writer.endObject()
        }
    }

    private func write(
        _ webhook: Webhook, secret: WebhookSecret? = nil, dead: Int, to writer: inout JSONWriter
    ) {
        let page = directory.look { $0.page(webhook.subscription.page) }
        WebhookObject.write(webhook, secret: secret, to: &writer) {
            WebhookObject.writeStanding(webhook, webhooks.standing(of: webhook), dead: dead, page: page, to: &$0)
        }
    }

    private func write(_ delivery: StoredDelivery, of webhook: Webhook, to writer: inout JSONWriter) {
        DeliveryObject.writeMembers(
            of: delivery, id: webhooks.messages.id(of: delivery), webhook: webhook,
            standing: webhooks.standing(of: webhook), to: &writer)
        DeliveryObject.writeMore(of: delivery, to: &writer)
    }
}
