import Logging
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
    static let idParameter = "connection_id"

    let admission: Admission
    let sockets: SocketSubscriptions

    /// How often a subscription is asked for whose last socket is just leaving.
    static let retry = TimeAmount.milliseconds(50)
    /// The same of one that another node has, which the store is asked for.
    static let askingRetry = TimeAmount.milliseconds(100)
    /// How much longer than a socket on another node may take to answer its answer may take to get here.
    static let way = TimeAmount.seconds(1)

    /// The handshake has been checked.
    func decide(
        _ id: String, accept: String, address: String, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Result<AcceptedStream, StreamRefusal>> {
        let request = Request(id: id, accept: accept, address: address)
        return decide(request, until: .now() + SocketSubscriptions.challenge, on: eventLoop)
    }

    private struct Request: Sendable {
        let id: String
        let accept: String
        let address: String
        /// When another node was asked for it.
        var asked: Int64?
    }

    private typealias Decision = EventLoopFuture<Result<AcceptedStream, StreamRefusal>>

    private func decide(
        _ request: Request, until deadline: NIODeadline, on eventLoop: any EventLoop
    ) -> Decision {
        if let claim = sockets.claim(request.id) { return eventLoop.makeSucceededFuture(open(claim, request)) }
        guard sockets.holds(request.id) else {
            if sockets.isShared { return ask(request, until: deadline, on: eventLoop) }
            return eventLoop.makeSucceededFuture(unknown(request))
        }
        guard .now() < deadline else { return eventLoop.makeSucceededFuture(.success(occupied(request))) }
        if let holder = sockets.holder(of: request.id) {
            // A half-open socket must not lock its owner out.
            return holder.challenge(within: SocketSubscriptions.challenge).hop(to: eventLoop).flatMap { isAlive in
                if isAlive { return eventLoop.makeSucceededFuture(.success(occupied(request))) }
                // Where nodes share it, it goes to the store first.
                let rest = sockets.isShared ? Self.way : Self.retry
                return decide(request, until: .now() + rest, on: eventLoop)
            }
        }
        // Promised to a socket that isn't there yet, or may never be.
        return decide(request, in: Self.retry, until: deadline, on: eventLoop)
    }

    private func decide(
        _ request: Request, in time: TimeAmount, until deadline: NIODeadline, on eventLoop: any EventLoop
    ) -> Decision {
        eventLoop.flatScheduleTask(in: time) { decide(request, until: deadline, on: eventLoop) }.futureResult
    }

    // MARK: Of another node

    /// The store says which node has it.
    private func ask(_ request: Request, until deadline: NIODeadline, on eventLoop: any EventLoop) -> Decision {
        // An id that no node is known to have may be of a moment ago. Who has tried too many wrong ones doesn't have the store
        // asked for more.
        if !sockets.knows(request.id), let wait = admission.authenticator.wait(of: request.address) {
            return eventLoop.makeSucceededFuture(.failure(Self.tooMany(wait)))
        }
        let answer = eventLoop.makeFutureWithTask { try await sockets.ask(request.id, asked: request.asked) }
        return answer.flatMap { answer in
            switch answer {
            case .granted(let claim): return eventLoop.makeSucceededFuture(open(claim, request))
            case .asked(let time):
                // That node lets its socket show that it lives, or make room. It has its time from here on: while all sockets
                // of a node come to this one, the question waits for many others.
                let deadline = request.asked == nil ? .now() + SocketSubscriptions.challenge + Self.way : deadline
                guard .now() < deadline else { break }
                var request = request
                request.asked = time
                return decide(request, in: Self.askingRetry, until: deadline, on: eventLoop)
            case .busy:
                guard .now() < deadline else { break }
                return decide(request, in: Self.retry, until: deadline, on: eventLoop)
            case .occupied: break
            case .full: return eventLoop.makeSucceededFuture(.failure(Self.unavailable))
            case .unknown: return eventLoop.makeSucceededFuture(unknown(request))
            }
            return eventLoop.makeSucceededFuture(.success(occupied(request)))
        }.flatMapErrorThrowing { error in
            admission.logger.error("a subscription can't be claimed", metadata: ["error": "\(error)"])
            return .failure(Self.unavailable)
        }
    }

    private static let unavailable = StreamRefusal(
        .serviceUnavailable, "The subscription can't be looked up at the moment.", because: "store",
        headers: ["retry-after": "5"])

    // MARK: Decisions

    /// The subscription that is had; room is taken for nothing else.
    private func open(_ claim: SocketClaim, _ request: Request) -> Result<AcceptedStream, StreamRefusal> {
        let subscription = claim.subscription
        let now = admission.clock.now()
        guard let key = subscription.key.flatMap({ id in admission.directory.look { $0.key(id) } }),
            !key.isExpired(at: now)
        else { return unknown(request) }
        return admission.room().map { permit in
            AcceptedStream(
                form: .webSocket(EventSubVoice()),
                purpose: .listen(
                    Subscription(
                        dialect: .eventSub(subscription.type, subscription.condition),
                        audience: .page(subscription.page), principal: Principal(key: key),
                        start: .after(claim.position), remoteAddress: request.address, connectedAt: now,
                        eventSub: DeliveredSubscription(
                            subscription.id,
                            beginning: EventSubMessage.beginning(subscription, transport: .webSocket)))),
                opening: WebSocketHandshake.response(accept: request.accept), permit: permit, claim: claim)
        }
    }

    /// An id is a credential: who tries many is told to wait.
    private func unknown(_ request: Request) -> Result<AcceptedStream, StreamRefusal> {
        if let wait = admission.authenticator.recordFailure(of: request.address) { return .failure(Self.tooMany(wait)) }
        return .success(
            farewell(
                "this connection_id is unknown, or its time to connect is over; create a new subscription", request))
    }

    private static func tooMany(_ wait: Int) -> StreamRefusal {
        StreamRefusal(
            .tooManyRequests, "Too many requests with an unknown connection_id; wait \(wait) seconds.",
            because: "throttled", headers: ["retry-after": "\(wait)"])
    }

    private func occupied(_ request: Request) -> AcceptedStream {
        farewell("this connection_id is connected already", request)
    }

    /// A socket that is told why it can't stay. It takes no listener's place.
    private func farewell(_ reason: String, _ request: Request) -> AcceptedStream {
        AcceptedStream(
            form: .webSocket(EventSubVoice()), purpose: .farewell(reason),
            opening: WebSocketHandshake.response(accept: request.accept), permit: nil)
    }
}
