import TipwireCore

/// One listener, as the API and the dashboard show it. Holds no secret.
public struct ConnectionInfo: Sendable {
    public let id: Int64
    public let dialect: Dialect
    public let audience: Audience
    public let overlay: OverlayPlace?
    public let account: Account.ID
    public let credential: Principal.Credential
    public let remoteAddress: String
    public let connectedAt: Timestamp
    public let deliveries: Int
    /// Bytes that were published to it and that it has not taken.
    public let lagBytes: Int
    /// Events of the log, of any page, between it and the head; 0 while it is live.
    public let lagEvents: Int64

    init(_ subscriber: Subscriber, head: Int64) {
        let subscription = subscriber.subscription
        id = subscriber.id
        dialect = subscription.dialect
        audience = subscription.audience
        overlay = subscription.overlay
        account = subscription.principal.account
        credential = subscription.principal.credential
        remoteAddress = subscription.remoteAddress
        connectedAt = subscription.connectedAt
        deliveries = subscriber.group.deliveries(to: subscriber)
        if case .behind(let lag) = subscriber.delivery.state {
            lagBytes = lag.bytes
            lagEvents = max(0, head - lag.through)
        } else {
            lagBytes = 0
            lagEvents = 0
        }
    }
}

/// What one shard has done since the start.
public struct ShardStatistics: Sendable {
    /// The part of one kind of listeners.
    public struct Share: Sendable {
        public var connections = 0
        public var deliveries = 0
        public var bytes = 0
        /// Of the connections: those that are given what they missed.
        public var catchingUp = 0
        /// Of the connections: those that take nothing, so that what comes waits in the log.
        public var stalled = 0
        /// How far the one furthest behind is.
        public var lagEvents = 0
        public var lagBytes = 0

        static func + (a: Share, b: Share) -> Share {
            Share(
                connections: a.connections + b.connections, deliveries: a.deliveries + b.deliveries,
                bytes: a.bytes + b.bytes, catchingUp: a.catchingUp + b.catchingUp, stalled: a.stalled + b.stalled,
                lagEvents: max(a.lagEvents, b.lagEvents), lagBytes: max(a.lagBytes, b.lagBytes))
        }
    }

    public var feed = Share()
    public var sse = Share()
    public var eventsub = Share()
    public var overlay = Share()
    public var slowConsumersCut = 0
    /// From a commit to the last write of its batch on one event loop; one observation a batch and loop.
    public var latency = DurationHistogram.Reading()
    /// Everything up to here has been offered to the listeners.
    public var relayed = Int64.max

    public subscript(kind: Dialect.Kind) -> Share {
        get {
            switch kind {
            case .feed: feed
            case .sse: sse
            case .eventsub: eventsub
            case .overlay: overlay
            }
        }
        set {
            switch kind {
            case .feed: feed = newValue
            case .sse: sse = newValue
            case .eventsub: eventsub = newValue
            case .overlay: overlay = newValue
            }
        }
    }

    public var connections: Int { Dialect.Kind.allCases.reduce(0) { $0 + self[$1].connections } }

    static func + (a: ShardStatistics, b: ShardStatistics) -> ShardStatistics {
        var sum = a
        for kind in Dialect.Kind.allCases { sum[kind] = a[kind] + b[kind] }
        sum.slowConsumersCut += b.slowConsumersCut
        sum.latency = a.latency + b.latency
        sum.relayed = min(a.relayed, b.relayed)
        return sum
    }
}
