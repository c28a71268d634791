import NIOCore
import TipwireCore
import TipwireHub
import TipwireSockets
import TipwireWire

/// A socket that listens: a WebSocket connection in the fan-out.
///
/// What to say is the dialect's voice's to know, what to deliver the shard's.
final class WebSocketHandler: WebSocketConnection, StreamHandler, SubscriberSink {
    private static let ping = WebSocketFrame.ping(ByteBuffer())

    private var voice: any SocketVoice
    private let shard: Shard
    private let drain: DrainPlan
    private var subscriber: Subscriber?
    private var permit: StreamPermit?
    /// The EventSub subscription that is delivered here.
    private var claim: SocketClaim?
    /// What had been delivered when the last ping was sent, and when the last one was answered: a peer that answers has
    /// had everything before.
    private var pinged: Int64?
    private var confirmed: Int64?
    /// The peer has waited long to be let in, and may have gone meanwhile, unseen behind a balancer. Until it has answered a ping
    /// nothing counts as delivered.
    private var isUnproven = false
    /// The last messages were not all gone when they had been written. Asked then: once a connection is broken, nothing
    /// tells any more what it took.
    private var wasLeftUnsent = false
    private var sign: (promise: EventLoopPromise<Bool>, limit: Scheduled<Void>)?

    init(voice: any SocketVoice, shard: Shard, maxMessageBytes: Int, drain: DrainPlan) {
        self.voice = voice
        self.shard = shard
        self.drain = drain
        super.init(maxMessageBytes: maxMessageBytes)
    }

    /// Subscribes, then answers the handshake: an event committed after the answer was read can't be missed.
    func begin(_ stream: AcceptedStream, on transport: any StreamTransport) {
        attach(to: transport)
        permit = stream.permit
        claim = stream.claim
        guard case .listen(let subscription) = stream.purpose else {
            if case .farewell(let reason) = stream.purpose {
                send(stream.opening)
                close(.policyViolation, reason)
            }
            return
        }
        let subscriber = shard.subscribe(subscription, sink: self)
        self.subscriber = subscriber
        // Before anything is sent: a peer that is gone already ends this in the middle of the send.
        let holder = SocketConnection(handler: NIOLoopBound(self, eventLoop: shard.eventLoop))
        let isWanted = claim?.connect(holder) ?? true
        send(stream.opening)
        if stream.hasWaited {
            isUnproven = true
            ping()
        }
        guard self.subscriber != nil else { return }
        guard isWanted else {
            leaveFanout()
            close(.policyViolation, "the subscription has ended")
            return
        }
        shard.start(subscriber)
    }

    // MARK: Inbound

    override func received(text: ByteBuffer) {
        switch voice.answer(to: text) {
        case .now(let answer): send(answer)
        case .later(let answer):
            let handler = NIOLoopBound(self, eventLoop: shard.eventLoop)
            answer.whenSuccess { answer in
                // It may have ended meanwhile.
                if handler.value.subscriber != nil { handler.value.send(answer) }
            }
        case nil: break
        }
    }

    override func receivedPong() {
        confirmed = pinged ?? confirmed
        pinged = nil
        isUnproven = false
    }

    override func heard() {
        if let subscriber { shard.heard(subscriber) }
        answerSign(true)
    }

    override func becameWritable() {
        if let subscriber { shard.becameWritable(subscriber) }
    }

    override func held() {
        if let subscriber { shard.held(subscriber) }
    }

    override func parted(_ parting: Parting) { leaveFanout(parting) }

    /// Until its turn has come a feed gets its events as ever.
    override func shutDown() {
        guard transport != nil, !isClosing else { return }
        let handler = NIOLoopBound(self, eventLoop: shard.eventLoop)
        shard.eventLoop.scheduleTask(in: drain.turn()) {
            let handler = handler.value
            handler.leaveFanout()
            handler.close(
                .serviceRestart, "the server is shutting down", within: StreamLimits.shutdownClose)
        }
    }

    override func farewell(_ reason: String) -> ByteBuffer? { voice.farewell(reason) }

    // MARK: Outbound

    var openDescriptor: NIOBSDSocket.Handle? {
        let descriptor = transport?.openDescriptor
        wasLeftUnsent = descriptor == nil
        return descriptor
    }

    func write(_ bytes: ByteBuffer) {
        // Until it is known: the write may be what finds the connection broken.
        wasLeftUnsent = true
        send(bytes)
        wasLeftUnsent = hasUnsent
    }

    func resumed(_ resumption: Resumption, epoch: String) {
        if let frame = voice.resumed(resumption, epoch: epoch) { send(frame) }
    }

    var hasUnsent: Bool {
        guard let transport, !isUnproven else { return true }
        return !transport.isWritable || transport.hasUnsent
    }

    func probe() {
        if isWritable { ping() }
    }

    private func ping() {
        // An answer that is due answers the first of several pings.
        if claim != nil, pinged == nil, let subscriber { pinged = shard.delivered(to: subscriber) }
        send(Self.ping)
    }

    func end(_ reason: EndReason) {
        // The subscriber is out of the fan-out already, and its subscription is free for another socket.
        releaseClaim(reason == .idle ? .dead : .orderly)
        subscriber = nil
        switch reason {
        case .keyRevoked: close(.policyViolation, "the key was revoked")
        case .keyExpired: close(.policyViolation, "the key has expired")
        case .sessionEnded: close(.policyViolation, "signed out")
        case .accessLost: close(.policyViolation, "the page is no longer open to this key")
        case .closedByOwner: close(.policyViolation, "closed by the owner")
        case .subscriptionEnded: close(.policyViolation, "the subscription has ended")
        case .displaced: close(.policyViolation, "this connection_id was connected to another server")
        case .idle: close(.goingAway, voice.idleAdvice)
        case .timeIsUp: close(.goingAway, "the stream has had its time; connect again")
        case .slow(let text): close(.tryAgainLater, text)
        }
    }

    private func leaveFanout(_ parting: Parting = .orderly) {
        releaseClaim(parting)
        if let subscriber { shard.remove(subscriber) }
        subscriber = nil
    }

    /// Gives the subscription of this socket back, with what was delivered. Where that is in doubt it is less rather than
    /// more: a message may come twice, with the same id, and none is missing.
    private func releaseClaim(_ parting: Parting = .orderly) {
        if let claim, let subscriber {
            let isInDoubt =
                switch parting {
                case .orderly: hasUnsent
                case .broken: wasLeftUnsent || isUnproven
                case .dead: true
                }
            let certain = parting == .dead ? confirmed ?? claim.position : shard.flushed(of: subscriber)
            claim.release(position: isInDoubt ? certain : shard.delivered(to: subscriber))
        }
        voice.left()
        // Only now: whoever waits for this sign asks for the subscription at once.
        answerSign(false)
    }

    // MARK: Signs of life

    /// Whether the peer shows a sign of life within `limit`. If not, the connection is closed and its subscription free.
    fileprivate func challenge(within limit: TimeAmount) -> EventLoopFuture<Bool> {
        guard subscriber != nil else { return shard.eventLoop.makeSucceededFuture(false) }
        if let sign { return sign.promise.futureResult }
        let promise = shard.eventLoop.makePromise(of: Bool.self)
        let handler = NIOLoopBound(self, eventLoop: shard.eventLoop)
        let timer = shard.eventLoop.scheduleTask(in: limit) {
            handler.value.leaveFanout(.dead)
            handler.value.transport?.close()
        }
        sign = (promise, timer)
        ping()
        return promise.futureResult
    }

    private func answerSign(_ isAlive: Bool) {
        guard let sign else { return }
        self.sign = nil
        sign.limit.cancel()
        sign.promise.succeed(isAlive)
    }

    fileprivate func subscriptionEnded() {
        guard let subscriber else { return }
        shard.end(subscriber, .subscriptionEnded)
    }

    fileprivate func displaced() {
        guard let subscriber else { return }
        shard.end(subscriber, .displaced)
    }
}

/// A socket's handler, reachable from any thread: how its subscription calls on it.
struct SocketConnection: SocketHolder {
    let handler: NIOLoopBound<WebSocketHandler>

    func challenge(within limit: TimeAmount) -> EventLoopFuture<Bool> {
        handler.eventLoop.flatSubmit { handler.value.challenge(within: limit) }
    }

    func subscriptionEnded() async {
        // Fails only when the loop has been shut down, and the connection with it.
        try? await handler.eventLoop.submit { handler.value.subscriptionEnded() }.get()
    }

    func displaced() async {
        try? await handler.eventLoop.submit { handler.value.displaced() }.get()
    }
}
