import Logging
import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireWire

/// Decides whether a WebSocket upgrade becomes a Pally feed.
///
/// Answered from memory alone when a key is given: clients that reconnect at once and for ever cost no database.
struct FeedDoor: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let sessions: SessionCookie
    let quota: StreamQuota
    let addresses: ClientAddress
    let clock: WallClock
    let refusals: RefusalCounts
    let logger: Logger

    /// Checks, in this order: the handshake, the key, `channel`, `room`, access, room for one more.
    func decide(
        _ head: HTTPRequestHead, remote: SocketAddress?, on eventLoop: any EventLoop
    ) -> EventLoopFuture<StreamDecision> {
        let address = addresses.resolve(peer: remote, forwardedFor: head.headers["x-forwarded-for"])
        guard StreamRoute.path(of: head.uri) == "/" else {
            return eventLoop.makeSucceededFuture(
                refuse(.notFound, "There is no WebSocket here; feeds are opened on '/'.", because: "path", address))
        }
        let accept: String
        let version = (major: head.version.major, minor: head.version.minor)
        switch WebSocketHandshake.check(method: head.method.rawValue, httpVersion: version, headers: head.headers) {
        case .success(let value): accept = value
        case .failure(let refusal):
            return eventLoop.makeSucceededFuture(
                refuse(
                    HTTPResponseStatus(statusCode: refusal.status), refusal.reason, because: "handshake", address,
                    headers: refusal.headers))
        }
        let query = QueryString(target: head.uri)
        let key = query.nonEmpty("auth") ?? BearerToken.read(head.headers[canonicalForm: "authorization"])
        if key == nil, let token = sessions.token(in: head.headers), sessions.isSameOrigin(head.headers) {
            let found = eventLoop.makeFutureWithTask { try await authenticator.principal(sessionToken: token) }
            // Back on the loop, in the turn that subscribes: an access that ends now is either seen here or ends the stream.
            return found.map { principal in
                guard let principal else {
                    return refuse(.unauthorized, "The session has ended; sign in again.", because: "session", address)
                }
                return decide(principal, query: query, accept: accept, address: address)
            }
        }
        switch authenticator.principal(key: key, address: address) {
        case .success(let principal):
            return eventLoop.makeSucceededFuture(decide(principal, query: query, accept: accept, address: address))
        case .failure(let failure):
            return eventLoop.makeSucceededFuture(refuse(failure, address))
        }
    }

    private func decide(
        _ principal: Principal, query: QueryString, accept: String, address: String
    ) -> StreamDecision {
        guard principal.has(.eventsRead) else {
            return refuse(.unauthorized, "This API key doesn't have the scope events:read.", because: "scope", address)
        }
        let audience: Audience
        switch query["channel"] {
        case "firehose":
            audience = .owner(principal.account, limit: principal.pageLimit)
        case "activity-feed":
            guard let room = query.nonEmpty("room") else {
                return refuse(
                    .badRequest, "The parameter 'room' is missing: name the page's slug.", because: "room", address)
            }
            let page = Slug(room).flatMap { slug in directory.look { $0.page(slug: slug) } }
            guard let page, principal.mayFollow(page) else {
                return refuse(
                    .forbidden, "There is no such page, or this key has no access to it.", because: "access", address)
            }
            audience = .page(page.id)
        default:
            return refuse(
                .badRequest, "The parameter 'channel' must be 'firehose' or 'activity-feed'.", because: "channel",
                address)
        }
        guard let permit = quota.take() else {
            return refuse(
                .serviceUnavailable, "The server has no room for another connection.", because: "full", address,
                headers: ["retry-after": "5"])
        }
        let start: Subscription.Start =
            switch query.nonEmpty("since") {
            case nil: .live
            case "now": .now
            case let position?: .position(position)
            }
        return .accept(
            AcceptedStream(
                subscription: Subscription(
                    dialect: .pally, audience: audience, principal: principal, start: start, remoteAddress: address,
                    connectedAt: clock.now()),
                handshake: WebSocketHandshake.response(accept: accept), permit: permit))
    }

    private func refuse(_ failure: Authenticator.Failure, _ address: String) -> StreamDecision {
        switch failure {
        case .missing:
            refuse(
                .unauthorized, "An API key is needed: add auth=YOUR_API_KEY to the URL.", because: "key_missing",
                address)
        case .invalid:
            refuse(
                .unauthorized, "This API key is unknown, expired or revoked.", because: "key_invalid", address)
        case .throttled(let wait):
            refuse(
                .tooManyRequests, "Too many requests with a bad API key; wait \(wait) seconds.",
                because: "throttled", address, headers: ["retry-after": "\(wait)"])
        }
    }

    private func refuse(
        _ status: HTTPResponseStatus, _ message: String, because reason: String, _ address: String,
        headers: HTTPHeaders = [:]
    ) -> StreamDecision {
        refusals.count(reason)
        logger.debug(
            "a feed was refused",
            metadata: ["status": "\(status.code)", "reason": "\(reason)", "address": "\(address)"])
        return .refuse(Refusal(status: status, message: message, headers: headers))
    }
}
