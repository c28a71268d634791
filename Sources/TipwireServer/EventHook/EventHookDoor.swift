import Foundation
import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireWire

/// Decides whether a request for the Event Hook becomes a stream of server-sent events.
struct EventHookDoor: Sendable {
    /// Most pages that a refusal names.
    static let namedPages = 20

    let admission: Admission
    let sessions: SessionCookie
    let origins: AllowedOrigins

    /// The same for a browser without a key that is signed in to the dashboard, whose pages may read the stream.
    func decide(
        _ head: HTTPRequestHead, remote: SocketAddress?, on eventLoop: any EventLoop
    ) -> PendingDecision {
        let query = QueryString(target: head.uri)
        guard head.method == .GET, query.nonEmpty("token") == nil, !head.headers.contains(name: "authorization"),
            let token = sessions.token(in: head.headers), SessionCookie.mayRead(head.headers)
        else { return .now(decide(head, remote: remote)) }
        let authenticator = admission.authenticator
        let found = eventLoop.makeFutureWithTask { try await authenticator.principal(sessionToken: token) }
        return .later(
            found.map { principal in
                let address = admission.addresses.resolve(
                    peer: remote, forwardedFor: head.headers["x-forwarded-for"])
                guard let principal else {
                    return admission.refuse(
                        StreamRefusal(
                            .unauthorized, "The session has ended; sign in again.", because: "session"),
                        address: address)
                }
                switch open(principal, head: head, query: query, address: address, cors: [:]) {
                case .success(let stream): return .accept(stream)
                case .failure(let refusal): return admission.refuse(refusal, address: address)
                }
            })
    }

    /// Checks, in this order: the method, the key, `page`, access, room for one more.
    func decide(_ head: HTTPRequestHead, remote: SocketAddress?) -> StreamDecision {
        let cors = origins.headers(for: head.headers.first(name: "origin"))
        let address = admission.addresses.resolve(peer: remote, forwardedFor: head.headers["x-forwarded-for"])
        switch head.method {
        case .GET: break
        case .OPTIONS: return .answer(FrontAnswer(headers: Self.preflight(cors)))
        default:
            return admission.refuse(
                StreamRefusal(
                    .methodNotAllowed, "The Event Hook takes GET.", because: "method",
                    headers: ["allow": "GET, OPTIONS"]),
                address: address, headers: cors)
        }
        let query = QueryString(target: head.uri)
        let principal = admission.principal(
            key: query.nonEmpty("token") ?? BearerToken.read(head.headers[canonicalForm: "authorization"]),
            address: address, hint: "add token=YOUR_API_KEY to the URL, or send 'Authorization: Bearer YOUR_API_KEY'")
        let stream = principal.flatMap { open($0, head: head, query: query, address: address, cors: cors) }
        switch stream {
        case .success(let stream): return .accept(stream)
        case .failure(let refusal): return admission.refuse(refusal, address: address, headers: cors)
        }
    }

    private func open(
        _ principal: Principal, head: HTTPRequestHead, query: QueryString, address: String, cors: HTTPHeaders
    ) -> Result<AcceptedStream, StreamRefusal> {
        let start = Self.start(query: query, lastEventID: head.headers.first(name: "last-event-id"))
        let isHTTP2 = head.version == .http2
        let framing: StreamFraming = head.version == .http1_1 ? .chunked : .plain
        let headers = Self.headers(isHTTP2 ? nil : framing, cors: cors, now: admission.clock.now())
        return page(principal, named: query.nonEmpty("page")).flatMap { page in
            admission.room().map { permit in
                AcceptedStream(
                    form: .serverSentEvents(framing),
                    purpose: .listen(
                        Subscription(
                            dialect: .eventHook(hasIDs: start != .live, framing), audience: .page(page.id),
                            principal: principal, start: start, remoteAddress: address,
                            connectedAt: admission.clock.now())),
                    opening: isHTTP2 ? ByteBuffer() : Self.opening(headers), headers: isHTTP2 ? headers : [:],
                    permit: permit)
            }
        }
    }

    /// The page that was asked for, or the only one there is.
    private func page(_ principal: Principal, named name: String?) -> Result<Page, StreamRefusal> {
        if let name { return admission.page(name, for: principal) }
        let choices = admission.directory.look { $0.pages(of: principal.account) }.filter(principal.mayFollow)
        if choices.count == 1 { return .success(choices[0]) }
        let message: String
        if choices.isEmpty {
            message = "This API key has no page to listen to."
        } else {
            let named = choices.prefix(Self.namedPages).map(\.slug.text).joined(separator: ", ")
            let rest = choices.count - Self.namedPages
            message = "The parameter 'page' is missing: name one of \(named)" + (rest > 0 ? " and \(rest) more." : ".")
        }
        return .failure(StreamRefusal(.badRequest, message, because: "page"))
    }

    /// Where the client wants to begin. The header is the newer word: a browser repeats the address it was given, with the
    /// position of its first connection, and puts the present one into the header.
    static func start(query: QueryString, lastEventID: String?) -> Subscription.Start {
        // White space around a header's value isn't part of it (RFC 9110, 5.5).
        let header = lastEventID?.trimmingCharacters(in: .whitespaces) ?? ""
        let position = header.isEmpty ? query.nonEmpty("lastEventId") ?? query.nonEmpty("last_event_id") : header
        if let position { return .given(position) }
        return query["resume"] == "true" ? .now : .live
    }

    /// - Parameter framing: nil where the transport has its own, and says nothing of the connection (RFC 9113, 8.2.2).
    private static func headers(_ framing: StreamFraming?, cors: HTTPHeaders, now: Timestamp) -> HTTPHeaders {
        var headers: HTTPHeaders = [
            "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform",
            // nginx would keep events until a buffer is full.
            "X-Accel-Buffering": "no", "Date": now.httpDate,
        ]
        switch framing {
        case .chunked:
            headers.add(name: "Connection", value: "keep-alive")
            headers.add(name: "Transfer-Encoding", value: "chunked")
        case .plain:
            headers.add(name: "Connection", value: "close")
        case nil:
            break
        }
        headers.add(contentsOf: cors)
        return headers
    }

    private static func opening(_ headers: HTTPHeaders) -> ByteBuffer {
        var bytes = ByteBuffer(string: "HTTP/1.1 200 OK\r\n")
        for (name, value) in headers { bytes.writeString("\(name): \(value)\r\n") }
        bytes.writeString("\r\n")
        return bytes
    }

    private static func preflight(_ cors: HTTPHeaders) -> HTTPHeaders {
        var headers: HTTPHeaders = ["Allow": "GET, OPTIONS"]
        headers.add(contentsOf: cors)
        if cors.contains(name: AllowedOrigins.header) {
            headers.add(name: "Access-Control-Allow-Methods", value: "GET, OPTIONS")
            headers.add(name: "Access-Control-Allow-Headers", value: "Authorization, Last-Event-ID, Cache-Control")
            headers.add(name: "Access-Control-Max-Age", value: "86400")
        }
        return headers
    }
}

/// Which web pages may read the Event Hook from a browser: `cors.allowedOrigins`.
struct AllowedOrigins: Sendable {
    static let header = "Access-Control-Allow-Origin"

    /// Origins like `https://example.com`, in lower case; `*` among them stands for all.
    let list: [String]

    /// What says to the browser that the page of this origin may read; nothing of it for an origin that isn't allowed.
    func headers(for origin: String?) -> HTTPHeaders {
        if list.contains("*") { return [Self.header: "*"] }
        // Each origin gets an answer of its own, which a cache must not give to another.
        guard let origin, list.contains(origin.lowercased()) else { return ["Vary": "Origin"] }
        return [Self.header: origin, "Vary": "Origin"]
    }
}
