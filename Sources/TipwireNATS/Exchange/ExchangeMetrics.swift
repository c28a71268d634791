import TipwireHub

/// What the exchange counts.
public final class ExchangeMetrics: Sendable {
    public let messagesSent = Counter()
    public let messagesReceived = Counter()
    public let eventsSent = Counter()
    public let eventsReceived = Counter()
    /// Events of this node that were not sent, because NATS was away or too slow.
    public let eventsUnsent = Counter()
    /// Holes that were given up, after waiting for them or for want of room.
    public let holes = Counter()
    /// Messages that can't be read, or are of no log of ours.
    public let unreadable = Counter()
    /// Times that the library dropped messages, because they came faster than they were taken.
    public let overruns = Counter()

    init() {}
}
