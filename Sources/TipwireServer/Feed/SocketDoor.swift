import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireWire

/// Decides what a WebSocket upgrade becomes: at an address of its own an overlay, with a `connection_id` an EventSub socket, else a
/// Pally feed.
struct SocketDoor: Sendable {
    let admission: Admission
    let sessions: SessionCookie
    let eventSub: EventSubDoor
    let overlays: OverlayDoor

    /// Checks, in this order: the handshake, and of a feed the key, `channel`, `room`, access, room for one more.
    func decide(
        _ head: HTTPRequestHead, remote: SocketAddress?, on eventLoop: any EventLoop
    ) -> PendingDecision {
        let address = admission.addresses.resolve(peer: remote, forwardedFor: head.headers["x-forwarded-for"])
        @Sendable func decided(_ result: Result<AcceptedStream, StreamRefusal>) -> StreamDecision {
            switch result {
            case .success(let stream): .accept(stream)
            case .failure(let refusal): admission.refuse(refusal, address: address)
            }
        }
        let accept: String
        switch handshake(head) {
        case .success(let value): accept = value
        case .failure(let refusal): return .now(decided(.failure(refusal)))
        }
        let query = QueryString(target: head.uri)
        if StreamRoute.path(of: head.uri) == OverlayDoor.path {
            return .later(overlays.decide(query: query, accept: accept, address: address, on: eventLoop).map(decided))
        }
        if let id = query.nonEmpty(EventSubDoor.idParameter) {
            return .later(eventSub.decide(id, accept: accept, address: address, on: eventLoop).map(decided))
        }
        let key = query.nonEmpty("auth") ?? BearerToken.read(head.headers[canonicalForm: "authorization"])
        if key == nil, let token = sessions.token(in: head.headers), sessions.isSameOrigin(head.headers) {
            let authenticator = admission.authenticator
            let found = eventLoop.makeFutureWithTask { try await authenticator.principal(sessionToken: token) }
            // Back on the loop, in the turn that subscribes: an access that ends now is either seen here or ends the stream.
            return .later(
                found.map { principal in
                    guard let principal else {
                        return decided(
                            .failure(
                                StreamRefusal(
                                    .unauthorized, "The session has ended; sign in again.", because: "session")))
                    }
                    return decided(open(principal, query: query, accept: accept, address: address))
                })
        }
        let principal = admission.principal(
            key: key, address: address, hint: "add auth=YOUR_API_KEY to the URL")
        return .now(decided(principal.flatMap { open($0, query: query, accept: accept, address: address) }))
    }

    /// The `Sec-WebSocket-Accept` that a good handshake is answered with.
    private func handshake(_ head: HTTPRequestHead) -> Result<String, StreamRefusal> {
        let path = StreamRoute.path(of: head.uri)
        guard path == "/" || path == OverlayDoor.path else {
            return .failure(
                StreamRefusal(
                    .notFound, "There is no WebSocket here; feeds are opened on '/'.", because: "path"))
        }
        let version = (major: head.version.major, minor: head.version.minor)
        return WebSocketHandshake.check(
            method: head.method.rawValue, httpVersion: version, headers: head.headers
        ).mapError { refusal in
            StreamRefusal(
                HTTPResponseStatus(statusCode: refusal.status), refusal.reason, because: "handshake",
                headers: refusal.headers)
        }
    }

    private func open(
        _ principal: Principal, query: QueryString, accept: String, address: String
    ) -> Result<AcceptedStream, StreamRefusal> {
        audience(principal, query: query).flatMap { audience in
            admission.room().map { permit in
                AcceptedStream(
                    form: .webSocket(PallyVoice()),
                    purpose: .listen(
                        Subscription(
                            dialect: .pally, audience: audience, principal: principal, start: start(query),
                            remoteAddress: address, connectedAt: admission.clock.now())),
                    opening: WebSocketHandshake.response(accept: accept), permit: permit)
            }
        }
    }

    private func audience(_ principal: Principal, query: QueryString) -> Result<Audience, StreamRefusal> {
        switch query["channel"] {
        case "firehose":
            return .success(.owner(principal.account, limit: principal.pageLimit))
        case "activity-feed":
            guard let room = query.nonEmpty("room") else {
                return .failure(
                    StreamRefusal(
                        .badRequest, "The parameter 'room' is missing: name the page's slug.", because: "room"))
            }
            return admission.page(room, for: principal).map { .page($0.id) }
        default:
            return .failure(
                StreamRefusal(
                    .badRequest, "The parameter 'channel' must be 'firehose' or 'activity-feed'.",
                    because: "channel"))
        }
    }

    private func start(_ query: QueryString) -> Subscription.Start {
        switch query.nonEmpty("since") {
        case nil: .live
        case "now": .now
        case let position?: .given(position)
        }
    }
}
