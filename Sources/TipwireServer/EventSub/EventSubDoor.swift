import NIOCore
import NIOHTTP1
import TipwireCore
import TipwireHub
import TipwireWire

/// Decides what becomes of a WebSocket that comes with a `connection_id`.
///
/// The id alone authorises. Whoever has a wrong one is not refused but connected, told why, and closed: a client of this
/// dialect reads messages, not statuses.
struct EventSubDoor: Sendable {
    /// How long a socket has to show that it lives when another one asks for its place.
    static let challenge = TimeAmount.seconds(3)
    static let idParameter = "connection_id"

    let admission: Admission
    let sockets: SocketSubscriptions

    /// How often a subscription is asked for whose last socket is just leaving.
    static let retry = TimeAmount.milliseconds(50)

    /// The handshake has been checked.
    func decide(
        _ id: String, accept: String, address: String, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Result<AcceptedStream, StreamRefusal>> {
        let request = Request(id: id, accept: accept, address: address)
        return decide(request, until: .now() + Self.challenge, on: eventLoop)
    }

    private struct Request: Sendable {
        let id: String
        let accept: String
        let address: String
    }

    private func decide(
        _ request: Request, until deadline: NIODeadline, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Result<AcceptedStream, StreamRefusal>> {
        if let decided = open(request) { return eventLoop.makeSucceededFuture(decided) }
        guard sockets.holds(request.id) else { return eventLoop.makeSucceededFuture(unknown(request)) }
        let occupied = farewell("this connection_id is connected already", request)
        guard .now() < deadline else { return eventLoop.makeSucceededFuture(.success(occupied)) }
        if let holder = sockets.holder(of: request.id) {
            // A half-open socket must not lock its owner out.
            return holder.challenge(within: Self.challenge).hop(to: eventLoop).flatMap { isAlive in
                if isAlive { return eventLoop.makeSucceededFuture(.success(occupied)) }
                return decide(request, until: .now() + Self.retry, on: eventLoop)
            }
        }
        // Promised to a socket that isn't there yet, or may never be.
        return eventLoop.flatScheduleTask(in: Self.retry) {
            decide(request, until: deadline, on: eventLoop)
        }.futureResult
    }

    /// The subscription, if it can be had; room is taken for nothing else.
    private func open(_ request: Request) -> Result<AcceptedStream, StreamRefusal>? {
        guard let claim = sockets.claim(request.id) else { return nil }
        let subscription = claim.subscription
        let now = admission.clock.now()
        guard let key = subscription.key.flatMap({ id in admission.directory.look { $0.key(id) } }),
            !key.isExpired(at: now)
        else { return unknown(request) }
        return admission.room().map { permit in
            AcceptedStream(
                form: .webSocket(
                    EventSubVoice(beginning: EventSubMessage.beginning(subscription, transport: .webSocket))),
                purpose: .listen(
                    Subscription(
                        dialect: .eventSub(subscription.type, subscription.condition),
                        audience: .page(subscription.page), principal: Principal(key: key),
                        start: .after(claim.position), remoteAddress: request.address, connectedAt: now,
                        eventSub: subscription.id)),
                opening: WebSocketHandshake.response(accept: request.accept), permit: permit, claim: claim)
        }
    }

    /// An id is a credential: who tries many is told to wait.
    private func unknown(_ request: Request) -> Result<AcceptedStream, StreamRefusal> {
        if let wait = admission.authenticator.recordFailure(of: request.address) {
            return .failure(
                StreamRefusal(
                    .tooManyRequests, "Too many requests with an unknown connection_id; wait \(wait) seconds.",
                    because: "throttled", headers: ["retry-after": "\(wait)"]))
        }
        return .success(
            farewell(
                "this connection_id is unknown, or its time to connect is over; create a new subscription", request))
    }

    /// A socket that is told why it can't stay. It takes no listener's place.
    private func farewell(_ reason: String, _ request: Request) -> AcceptedStream {
        AcceptedStream(
            form: .webSocket(EventSubVoice(beginning: ByteBuffer())), purpose: .farewell(reason),
            opening: WebSocketHandshake.response(accept: request.accept), permit: nil)
    }
}
