import HTTPTypes
import Hummingbird
import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks
import TipwireWire

/// `/api/eventsub/`: what can be subscribed to, and who has.
///
/// Answers in the dialect's own envelope, refusals too. A client of the original reads nothing else.
struct EventSubController: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let addresses: ClientAddress
    let sockets: SocketSubscriptions
    let webhooks: WebhookEngine
    let store: any WebhookStore

    func addRoutes(to router: APIRouter) {
        let base = "/api/eventsub"
        router.open(.get, "\(base)/getEventsubs") { _, _ in Self.catalogue }
        for method in [HTTPRequest.Method.get, .post] {
            router.open(method, "\(base)/create", isSafe: false, answering(create))
        }
        router.open(.get, "\(base)/list", answering(list))
        for method in [HTTPRequest.Method.get, .post, .delete] {
            router.open(method, "\(base)/delete", isSafe: false, answering(delete))
        }
        router.open(.get, "\(base)/deliveries", answering(deliveries))
        router.open(.get, "/api/v1/user/profiles/get", answering(profiles))
    }

    /// One call: who makes it, and its parameters from the query and, of a POST, from a form.
    private struct EventSubCall {
        let principal: Principal
        let parameters: QueryString
        let request: Request

        func require(_ scope: Scope) throws {
            guard principal.has(scope) else { throw EventSubProblem.unauthorized }
        }
    }

    private func answering(
        _ handler: @escaping @Sendable (EventSubCall) async throws -> Response
    ) -> @Sendable (Request, AppContext) async throws -> Response {
        { request, context in
            do {
                return try await handler(try await call(request, context))
            } catch let problem as EventSubProblem {
                return problem.response
            }
        }
    }

    private func call(_ request: Request, _ context: AppContext) async throws -> EventSubCall {
        let address = addresses.resolve(peer: context.peer, forwardedFor: request.headers[values: .forwardedFor])
        let key = BearerToken.read(request.headers[values: .authorization])
        switch authenticator.principal(key: key, address: address) {
        case .failure(.throttled(let wait)): throw EventSubProblem.tooMany(retryAfter: wait)
        case .failure: throw EventSubProblem.unauthorized
        case .success(let principal):
            return EventSubCall(principal: principal, parameters: try await parameters(request), request: request)
        }
    }

    private func parameters(_ request: Request) async throws -> QueryString {
        var query = QueryString(target: request.uri.string)
        let mediaType = request.headers[.contentType]?.split(separator: ";").first.map { $0.lowercased() }
        if request.method == .post, mediaType == "application/x-www-form-urlencoded" {
            do {
                query.add(form: try await request.body.collect(upTo: Limits.requestBytes))
            } catch {
                throw EventSubProblem.badRequest("the form is too large: at most \(Limits.requestBytes) bytes")
            }
        }
        return query
    }

    // MARK: Calls

    /// Needs no key.
    private static let catalogue = Answer.eventSub { writer in
        func write(_ entries: [(name: String, meaning: String)], to writer: inout JSONWriter) {
            writer.beginObject()
            for entry in entries {
                writer.key(entry.name)
                writer.value(entry.meaning)
            }
            writer.endObject()
        }
        writer.beginArray()
        for definition in EventSubDefinition.all {
            writer.beginObject()
            writer.member("type", definition.type.rawValue)
            writer.member("version", EventSubType.version)
            writer.key("condition")
            write(definition.conditions, to: &writer)
            writer.key("body")
            write(definition.fields, to: &writer)
            writer.endObject()
        }
        writer.endArray()
    }

    @Sendable private func create(_ call: EventSubCall) async throws -> Response {
        try call.require(.eventsubCreate)
        let page = try page(call)
        let type = try type(call)
        let condition = try condition(call, of: type, currency: page.currency)
        do {
            switch call.parameters["transport[method]"] {
            case "websocket":
                let subscription = try await sockets.create(
                    type: type, condition: condition, page: page, principal: call.principal)
                return Answer.eventSub { EventSubObject.write(subscription, transport: .webSocket, to: &$0) }
            case "webhook":
                let webhook = try await webhooks.create(
                    try wish(call, page: page, type: type, condition: condition))
                return Answer.eventSub { WebhookObject.write(webhook, secret: webhook.secrets.current, to: &$0) }
            case nil: throw EventSubProblem.badRequest("missing 'transport[method]': webhook or websocket")
            default: throw EventSubProblem.badRequest("invalid 'transport[method]' value")
            }
        } catch let refusal as SubscriptionQuota.Refusal {
            throw EventSubProblem.tooMany(retryAfter: refusal.retryAfter)
        } catch let refusal as WebhookRefusal {
            throw EventSubProblem.badRequest("invalid 'transport[callback]' value: \(refusal.detail)")
        } catch is DirectoryRefusal {
            throw EventSubProblem.unauthorized
        }
    }

    private func wish(
        _ call: EventSubCall, page: Page, type: EventSubType, condition: EventSubCondition?
    ) throws -> WebhookWish {
        guard let callback = call.parameters.nonEmpty("transport[callback]") else {
            throw EventSubProblem.badRequest("missing 'transport[callback]'")
        }
        var secret: WebhookSecret?
        if let text = call.parameters.nonEmpty("transport[secret]") {
            secret = WebhookSecret(text)
            guard secret != nil else {
                throw EventSubProblem.badRequest("invalid 'transport[secret]' value: \(WebhookSecret.rule)")
            }
        }
        return WebhookWish(
            page: page, account: call.principal.account, key: call.principal.keyID, type: type, condition: condition,
            callback: callback, secret: secret)
    }

    /// One subscription of either transport.
    private enum Listed {
        case socket(EventSubscription, isConnected: Bool)
        case webhook(Webhook)

        var subscription: EventSubscription {
            switch self {
            case .socket(let subscription, _): subscription
            case .webhook(let webhook): webhook.subscription
            }
        }
    }

    @Sendable private func list(_ call: EventSubCall) async throws -> Response {
        try call.require(.eventsub)
        let sockets = sockets.list { isVisible($0, to: call.principal) }
            .map { Listed.socket($0.subscription, isConnected: $0.isConnected) }
        let webhooks = webhooks.subscriptions.list { isVisible($0.subscription, to: call.principal) }
            .map(Listed.webhook)
        let all = (sockets + webhooks).sorted {
            ($0.subscription.createdAt, $0.subscription.id) < ($1.subscription.createdAt, $1.subscription.id)
        }
        return Answer.eventSub { writer in
            writer.beginArray()
            for listed in all {
                switch listed {
                case .socket(let subscription, let isConnected):
                    EventSubObject.write(subscription, transport: .webSocket, to: &writer) {
                        $0.member("connected", isConnected)
                    }
                case .webhook(let webhook):
                    WebhookObject.write(webhook, to: &writer) { WebhookObject.writeState(webhook, to: &$0) }
                }
            }
            writer.endArray()
        }
    }

    @Sendable private func delete(_ call: EventSubCall) async throws -> Response {
        try call.require(.eventsub)
        let id = try connectionID(call)
        if let webhook = webhook(id, of: call) {
            try await webhooks.subscriptions.delete(webhook)
        } else if try await !sockets.delete(id, where: { isVisible($0, to: call.principal) }) {
            throw EventSubProblem.notFound
        }
        return Answer.eventSub { writer in
            writer.beginObject()
            writer.member("connection_id", id)
            writer.endObject()
        }
    }

    @Sendable private func deliveries(_ call: EventSubCall) async throws -> Response {
        try call.require(.eventsub)
        let id = try connectionID(call)
        guard let webhook = webhook(id, of: call) else {
            // A socket's messages are not kept track of one by one.
            guard !sockets.list(where: { $0.id == id && isVisible($0, to: call.principal) }).isEmpty else {
                throw EventSubProblem.notFound
            }
            return Answer.eventSub { writer in
                writer.beginArray()
                writer.endArray()
            }
        }
        let limit = try rowLimit(call)
        let rows = try await store.deliveries(of: webhook.number, kind: nil, before: nil, limit: limit)
        let standing = webhooks.standing(of: webhook)
        return Answer.eventSub { writer in
            writer.beginArray()
            for delivery in rows {
                writer.beginObject()
                DeliveryObject.writeMembers(
                    of: delivery, id: webhooks.messages.id(of: delivery), webhook: webhook, standing: standing,
                    to: &writer)
                writer.endObject()
            }
            writer.endArray()
        }
    }

    @Sendable private func profiles(_ call: EventSubCall) async throws -> Response {
        let pages = directory.look { $0.pages(of: call.principal.account) }.filter(call.principal.mayFollow)
        return Answer.eventSub { writer in
            writer.beginArray()
            for page in pages {
                writer.beginObject()
                writer.member("funprofile_id", page.id.rawValue)
                writer.member("role", page.owner == call.principal.account ? "owner" : "manager")
                writer.endObject()
            }
            writer.endArray()
        }
    }

    // MARK: Parameters

    /// The page of the profile that the header names, or the only one there is.
    private func page(_ call: EventSubCall) throws -> Page {
        let pages = directory.look { $0.pages(of: call.principal.account) }.filter(call.principal.mayFollow)
        guard let text = call.request.headers[.profileID], !text.isEmpty else {
            guard pages.count == 1 else {
                throw EventSubProblem.badRequest(
                    "missing 'FUNPLACE-PROFILE-ID' header: this key has \(pages.count) profiles")
            }
            return pages[0]
        }
        guard let number = Int64(text) else {
            throw EventSubProblem.badRequest("invalid 'FUNPLACE-PROFILE-ID' header: not an integer")
        }
        guard let page = pages.first(where: { $0.id.rawValue == number }) else { throw EventSubProblem.unauthorized }
        return page
    }

    private func type(_ call: EventSubCall) throws -> EventSubType {
        let name = call.parameters.nonEmpty("type") ?? EventSubType.alerts.rawValue
        guard let type = EventSubType(rawValue: name) else { throw EventSubProblem.badRequest("invalid 'type' value") }
        guard (call.parameters.nonEmpty("version") ?? EventSubType.version) == EventSubType.version else {
            throw EventSubProblem.badRequest("invalid 'version' value")
        }
        return type
    }

    private func condition(
        _ call: EventSubCall, of type: EventSubType, currency: Currency
    ) throws -> EventSubCondition? {
        let values = try call.parameters.names.sorted().compactMap { name -> (name: String, value: String)? in
            guard name.hasPrefix("condition[") else { return nil }
            let bare = name.dropFirst("condition[".count)
            guard bare.hasSuffix("]") else {
                throw EventSubProblem.badRequest("invalid '\(name.prefix(64))': a name in brackets is expected")
            }
            return (String(bare.dropLast()), call.parameters[name] ?? "")
        }
        do {
            return try EventSubDefinition.of(type).condition(values, currency: currency)
        } catch {
            let what = error.isUnknown ? "" : " value"
            throw EventSubProblem.badRequest("invalid 'condition[\(error.name)]'\(what): \(error.detail)")
        }
    }

    private func connectionID(_ call: EventSubCall) throws -> String {
        guard let id = call.parameters.nonEmpty("connection_id") else {
            throw EventSubProblem.badRequest("missing 'connection_id'")
        }
        return id
    }

    private func rowLimit(_ call: EventSubCall) throws -> Int {
        guard let text = call.parameters.nonEmpty("limit") else { return Limits.defaultListRows }
        guard let limit = Int(text), Limits.listRows.contains(limit) else {
            throw EventSubProblem.badRequest(
                "invalid 'limit' value: not a whole number from \(Limits.listRows.lowerBound) to "
                    + "\(Limits.listRows.upperBound)")
        }
        return limit
    }

    private func webhook(_ id: String, of call: EventSubCall) -> Webhook? {
        webhooks.subscriptions[id].flatMap { isVisible($0.subscription, to: call.principal) ? $0 : nil }
    }

    /// Subscriptions of the caller's account, on pages that the key reaches.
    private func isVisible(_ subscription: EventSubscription, to principal: Principal) -> Bool {
        subscription.account == principal.account
            && directory.look { $0.page(subscription.page) }.map(principal.mayFollow) ?? false
    }
}

extension HTTPField.Name {
    static let profileID = Self("FUNPLACE-PROFILE-ID")!
}
