import TipwireCore

/// What a store does beside the `Store` promise when several servers share it: it tells each what the others do, and which
/// of them are there.
///
/// A node is one run of a server on a shared store. It is there for as long as it tells so (`beat`), and for
/// `NodeTimes.dead` after the last time; whatever it had is then anyone's.
public protocol NodeStore: Sendable {
    /// This node.
    var node: NodeID { get }
    /// What changes from here on that this process doesn't change itself. For one reader; ends when the store is closed.
    ///
    /// It is a hint, at once where all goes well, and never the only way: whatever is missed here, `beat` finds.
    func listen() -> AsyncStream<StoreNews>
    /// Tells that this node is there, renews or takes what it may have, and forgets the nodes that are no more. What others
    /// changed since the last time comes by `listen`.
    ///
    /// To be called each `NodeTimes.beat`. One short transaction, which is not synced to disk.
    func beat(_ report: NodeReport) async throws -> NodeBeat
    /// Tells that this node is gone, so that nobody waits for it.
    func leave() async throws
    /// The nodes that are there, by their names.
    func nodes() async throws -> [StoredNode]
    /// This node has taken over all changes of the directory up to that of `version`.
    func took(directory version: Int64) async throws
    /// Returns when the other nodes have taken over what this one has changed of the directory, so that whoever is told of it
    /// may go to any of them; after `NodeTimes.patience` in any case. A node that was silent for `NodeTimes.silent` isn't
    /// waited for.
    func waitForOthers() async
    /// Goes on with the log that the store has now, where that is no longer the one that this process began with. Until this
    /// is called, reads and commits of another log throw `LogReplaced`.
    func adoptLog() async throws -> LogBounds
}

/// Of one run of a server; random.
public struct NodeID: Hashable, Sendable {
    public let text: String

    public init(text: String) { self.text = text }

    public static func random() -> NodeID { NodeID(text: SecretHash.randomHex(bytes: 8)) }
}

/// Milliseconds, all by the clock of the store: nodes may have clocks of their own.
public enum NodeTimes {
    /// Between two beats of a node.
    public static let beat: Int64 = 1_000
    /// How long the answer to a change waits for other nodes to take it over.
    public static let patience: Int64 = 1_000
    /// After its last beat nobody waits for a node, and it doesn't pass for ready itself.
    public static let silent: Int64 = 3_000
    /// After its last beat a node is dead.
    public static let dead: Int64 = 10_000
    /// How long the sending of webhooks is one node's after its last beat.
    public static let sendingLease: Int64 = 10_000
    /// So long after the beginning of the last beat that renewed it a node begins nothing more, whether it hears from the
    /// store or not.
    public static let sendingGrace: Int64 = 4_000
    /// What attempts under way get then, and whenever the sending becomes another node's. Both together are less than the
    /// lease, so that what one node has begun has ended when another one may begin.
    public static let handover: Int64 = 5_000
}

/// What others have changed.
public struct StoreNews: Sendable, Equatable {
    /// The log has grown as far as this; nil when nothing is known of it.
    public var head: Int64?
    public var changes: StoreChanges

    public init(head: Int64? = nil, changes: StoreChanges = []) {
        self.head = head
        self.changes = changes
    }
}

public struct StoreChanges: OptionSet, Sendable, Hashable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Accounts, pages, members or keys.
    public static let directory = StoreChanges(rawValue: 1)
    /// Sessions have ended.
    public static let sessions = StoreChanges(rawValue: 2)
    /// EventSub subscriptions that are delivered by WebSocket.
    public static let sockets = StoreChanges(rawValue: 4)
    /// Webhooks, or deliveries that wait anew.
    public static let webhooks = StoreChanges(rawValue: 8)
    /// Something was said to overlays.
    public static let overlays = StoreChanges(rawValue: 16)
    public static let all: StoreChanges = [.directory, .sessions, .sockets, .webhooks, .overlays]
}

/// What a node tells of itself.
public struct NodeReport: Sendable, Equatable {
    public let name: String
    public let version: String
    /// Where clients reach it past any load balancer.
    public let url: String
    public let startedAt: Timestamp
    public var isDraining = false
    /// Open streams.
    public var feed = 0
    public var sse = 0
    public var eventsub = 0
    public var overlay = 0
    /// Its listeners have been offered everything up to here.
    public var relayed: Int64 = 0

    public init(name: String, version: String, url: String, startedAt: Timestamp) {
        self.name = name
        self.version = version
        self.url = url
        self.startedAt = startedAt
    }
}

/// What a node is told in return.
public struct NodeBeat: Sendable, Equatable {
    /// The log as it is.
    public let bounds: LogBounds
    /// Whether the sending of webhooks is this node's, until `NodeTimes.sendingLease` from now.
    public let isSender: Bool
    /// Nothing was known of this node: it is its first beat, or it was taken for dead meanwhile, and what it had is no longer
    /// its own.
    public let isNew: Bool

    public init(bounds: LogBounds, isSender: Bool, isNew: Bool) {
        self.bounds = bounds
        self.isSender = isSender
        self.isNew = isNew
    }
}

public struct StoredNode: Sendable, Equatable {
    public let id: NodeID
    public let report: NodeReport
    /// Milliseconds since its last beat.
    public let silence: Int64
    /// Events between what its listeners had been offered and the head of the log, at its last beat.
    public let lag: Int64
    /// Whether it sends the webhooks.
    public let isSender: Bool

    public init(id: NodeID, report: NodeReport, silence: Int64, lag: Int64, isSender: Bool) {
        self.id = id
        self.report = report
        self.silence = silence
        self.lag = lag
        self.isSender = isSender
    }
}

/// Another node sends the webhooks, or did when this was to be kept.
public struct SendingElsewhere: Error, Sendable, CustomStringConvertible {
    public init() {}

    public var description: String { "another node sends the webhooks" }
}

/// Other nodes have changed webhooks since this one read them.
public struct WebhooksChanged: Error, Sendable, CustomStringConvertible {
    public init() {}

    public var description: String { "another node has changed webhooks" }
}

/// The store's log is another one than that which this process began with: the database came back without commits that had
/// been answered. Whoever meets this goes on after `NodeStore.adoptLog`.
public struct LogReplaced: Error, Sendable, CustomStringConvertible {
    public init() {}

    public var description: String {
        "the database has lost commits that were answered, and its log is another one now"
    }
}
