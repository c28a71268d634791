import TipwireCore

/// One listener, as the API and the dashboard show it. Holds no secret.
public struct ConnectionInfo: Sendable {
    public let id: Int64
    public let dialect: Dialect
    public let audience: Audience
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
        account = subscription.principal.account
        credential = subscription.principal.credential
        remoteAddress = subscription.remoteAddress
        connectedAt = subscription.connectedAt
        deliveries = subscriber.deliveries
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
    public var connections = 0
    public var deliveries = 0
    public var bytes = 0
    public var slowConsumersCut = 0

    static func + (a: ShardStatistics, b: ShardStatistics) -> ShardStatistics {
        var sum = a
        sum.connections += b.connections
        sum.deliveries += b.deliveries
        sum.bytes += b.bytes
        sum.slowConsumersCut += b.slowConsumersCut
        return sum
    }
}
