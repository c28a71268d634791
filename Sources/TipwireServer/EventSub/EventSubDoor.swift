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

    /// There must be room; the handshake has been checked.
    func decide(
        _ id: String, accept: String, address: String, permit: StreamPermit, on eventLoop: any EventLoop
    ) -> EventLoopFuture<AcceptedStream> {
        @Sendable func open() -> AcceptedStream? { claim(id, accept: accept, address: address, permit: permit) }
        @Sendable func farewell(_ reason: String) -> AcceptedStream {
            AcceptedStream(
                form: .webSocket(EventSubVoice(beginning: ByteBuffer())), purpose: .farewell(reason),
                opening: WebSocketHandshake.response(accept: accept), permit: permit)
        }
        if let stream = open() { return eventLoop.makeSucceededFuture(stream) }
        guard let holder = sockets.holder(of: id) else {
            return eventLoop.makeSucceededFuture(
                farewell("this connection_id is unknown, or its time to connect is over; create a new subscription"))
        }
        // A half-open socket must not lock its owner out.
        return holder.challenge(within: Self.challenge).hop(to: eventLoop).map { isAlive in
            if !isAlive, let stream = open() { return stream }
            return farewell("this connection_id is connected already")
        }
    }

    private func claim(_ id: String, accept: String, address: String, permit: StreamPermit) -> AcceptedStream? {
        guard let claim = sockets.claim(id) else { return nil }
        let subscription = claim.subscription
        guard let key = subscription.key.flatMap({ id in admission.directory.look { $0.key(id) } }) else { return nil }
        return AcceptedStream(
            form: .webSocket(
                EventSubVoice(beginning: EventSubMessage.beginning(subscription, transport: .webSocket))),
            purpose: .listen(
                Subscription(
                    dialect: .eventSub(subscription.type, subscription.condition),
                    audience: .page(subscription.page), principal: Principal(key: key),
                    start: .after(claim.position), remoteAddress: address, connectedAt: admission.clock.now(),
                    eventSub: subscription.id)),
            opening: WebSocketHandshake.response(accept: accept), permit: permit, claim: claim)
    }
}
