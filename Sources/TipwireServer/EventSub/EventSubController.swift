import HTTPTypes
import Hummingbird
import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// `/api/eventsub/`: what can be subscribed to, and who has.
///
/// Answers in the dialect's own envelope, refusals too. A client of the original reads nothing else.
struct EventSubController: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let addresses: ClientAddress
    let sockets: SocketSubscriptions

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
        switch call.parameters["transport[method]"] {
        case "websocket": break
        case "webhook":
            throw EventSubProblem.badRequest(
                "'transport[method]' webhook is not offered by this version; use websocket")
        case nil: throw EventSubProblem.badRequest("missing 'transport[method]': websocket")
        default: throw EventSubProblem.badRequest("invalid 'transport[method]' value")
        }
        let subscription: EventSubscription
        do {
            subscription = try await sockets.create(
                type: type, condition: condition, page: page, principal: call.principal)
        } catch let refusal as SocketSubscriptions.Refusal {
            throw EventSubProblem(refusal)
        } catch is DirectoryRefusal {
            throw EventSubProblem.unauthorized
        }
        return Answer.eventSub { EventSubObject.write(subscription, transport: .webSocket, to: &$0) }
    }

    @Sendable private func list(_ call: EventSubCall) async throws -> Response {
        try call.require(.eventsub)
        let all = sockets.list { isVisible($0, to: call.principal) }
        return Answer.eventSub { writer in
            writer.beginArray()
            for (subscription, isConnected) in all {
                EventSubObject.write(subscription, transport: .webSocket, to: &writer) {
                    $0.member("connected", isConnected)
                }
            }
            writer.endArray()
        }
    }

    @Sendable private func delete(_ call: EventSubCall) async throws -> Response {
        try call.require(.eventsub)
        guard let id = call.parameters.nonEmpty("connection_id") else {
            throw EventSubProblem.badRequest("missing 'connection_id'")
        }
        guard try await sockets.delete(id, where: { isVisible($0, to: call.principal) }) else {
            throw EventSubProblem.notFound
        }
        return Answer.eventSub { writer in
            writer.beginObject()
            writer.member("connection_id", id)
            writer.endObject()
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
        let offered = Set(EventSubDefinition.of(type).conditions.map { "condition[\($0.name)]" })
        for name in call.parameters.names where name.hasPrefix("condition[") && !offered.contains(name) {
            throw EventSubProblem.badRequest("invalid '\(name.prefix(80))': this type has no such condition")
        }
        let name = "condition[\(EventSubDefinition.minimumAmount)]"
        guard offered.contains(name), let text = call.parameters.nonEmpty(name) else { return nil }
        guard let cents = currency.minorUnits(decimal: text), Limits.grossAmountInCents.contains(max(cents, 1)) else {
            throw EventSubProblem.badRequest(
                "invalid '\(name)' value: not a decimal of \(currency.code) like \(currency.decimal(500))")
        }
        return EventSubCondition(minimumAmountInCents: cents, minimumAmount: text)
    }

    /// Subscriptions of the caller's account, on pages that the key reaches.
    private func isVisible(_ subscription: EventSubscription, to principal: Principal) -> Bool {
        subscription.account == principal.account
            && directory.look { $0.page(subscription.page) }.map(principal.mayFollow) ?? false
    }
}

extension EventSubProblem {
    fileprivate init(_ refusal: SocketSubscriptions.Refusal) {
        switch refusal {
        case .tooFast(let wait): self = .tooMany(retryAfter: wait)
        case .tooManyOfKey, .tooManyOfPage: self = .tooMany(retryAfter: EventSubObject.windowSeconds)
        }
    }
}

extension HTTPField.Name {
    static let profileID = Self("FUNPLACE-PROFILE-ID")!
}
