import TipwireCore

/// EventSub subscriptions that are delivered by WebSocket: what survives of them when the server doesn't.
///
/// They are short-lived and few things happen to them, so the server holds them all in memory; this keeps them over a
/// restart. A subscription goes with its page, its account and its key.
public protocol SocketStore: Sendable {
    /// All of them, each with the last sequence that it was told of.
    func socketSubscriptions() async throws -> [StoredSocket]
    /// Throws `DirectoryRefusal.missingReference` when the page, the account or the key is gone.
    func createSocketSubscription(_ socket: StoredSocket) async throws
    func deleteSocketSubscriptions(_ ids: [String]) async throws
    /// Keeps where subscriptions stand, in one transaction. One row for all that are level: what they cost doesn't grow
    /// with their number. Of a store that nodes share (`SharedSocketStore`), those of this node alone.
    func recordSocketPositions(_ positions: SocketPositions) async throws
}

/// A subscription and where it stands.
public struct StoredSocket: Hashable, Sendable {
    public let subscription: EventSubscription
    /// The last sequence that it was told of, or that was none of its business.
    public let position: Int64

    public init(subscription: EventSubscription, position: Int64) {
        self.subscription = subscription
        self.position = position
    }
}

/// Where subscriptions stand at one moment.
public struct SocketPositions: Hashable, Sendable {
    /// What all that are level have been told of.
    public var level: Int64
    /// Those that have become level since the last time.
    public var levelled: Set<String>
    /// Those that stand elsewhere: behind, or not connected.
    public var own: [String: Int64]

    public init(level: Int64, levelled: Set<String> = [], own: [String: Int64] = [:]) {
        self.level = level
        self.levelled = levelled
        self.own = own
    }
}
