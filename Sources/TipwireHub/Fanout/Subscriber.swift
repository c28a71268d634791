import NIOCore
import TipwireCore

/// What a listener asked for.
public struct Subscription: Sendable {
    /// Where it begins.
    public enum Start: Sendable, Equatable {
        /// With the next event, silently.
        case live
        /// With the next event, after a word that says so.
        case now
        /// After a position that the client gave, unparsed.
        case position(String)
        /// After a position that this server kept, silently.
        case after(Int64)

        /// After what a client gave as a position. Of a text that is too long for one no more is kept than shows that.
        public static func given(_ text: some StringProtocol) -> Start {
            .position(String(text.prefix(Cursor.maximumCharacters + 1)))
        }
    }

    public let dialect: Dialect
    public let audience: Audience
    public let principal: Principal
    public let start: Start
    public let remoteAddress: String
    public let connectedAt: Timestamp
    /// The EventSub subscription that is delivered here.
    public let eventSub: DeliveredSubscription?
    /// The overlay that listens here.
    public let overlay: OverlayPlace?

    public init(
        dialect: Dialect, audience: Audience, principal: Principal, start: Start, remoteAddress: String,
        connectedAt: Timestamp, eventSub: DeliveredSubscription? = nil, overlay: OverlayPlace? = nil
    ) {
        self.dialect = dialect
        self.audience = audience
        self.principal = principal
        self.start = start
        self.remoteAddress = remoteAddress
        self.connectedAt = connectedAt
        self.eventSub = eventSub
        self.overlay = overlay
    }
}

/// What the fan-out has to know of an EventSub subscription.
///
/// An object, which takes eight bytes of a listener that has none.
public final class DeliveredSubscription: Sendable {
    let id: EventSubscription.ID
    /// What the payload of each of its messages begins with.
    let beginning: ByteBuffer

    public init(_ id: EventSubscription.ID, beginning: ByteBuffer) {
        self.id = id
        self.beginning = beginning
    }
}

/// Why a stream is ended by the server.
public enum EndReason: Hashable, Sendable {
    case keyRevoked
    case keyExpired
    /// Its browser signed out, or was signed out from elsewhere.
    case sessionEnded
    case accessLost
    case idle
    /// It takes events more slowly than they come; the text says which limit it broke.
    case slow(String)
    /// Cut by its owner through the API.
    case closedByOwner
    /// The EventSub subscription that it delivered is no more.
    case subscriptionEnded
    /// Another node has the EventSub subscription by now.
    case displaced
    /// It has lived as long as a setting lets it.
    case timeIsUp
}

/// The connection of one listener: takes ready bytes, on its own event loop.
///
/// Implemented by the channel handlers. Nothing here waits; `write` is called only while `isWritable`, but for the few
/// bytes of `resumed`.
public protocol SubscriberSink: AnyObject {
    var isWritable: Bool { get }
    /// Whether bytes that were written here have not left this process yet, or can't be counted on for another reason.
    var hasUnsent: Bool { get }
    /// Where bytes may be sent past the sink, until it says `Shard.held` or ends; nil if they have to be written to it. What the
    /// socket doesn't take of a message is written to the sink, and nothing before that.
    var openDescriptor: NIOBSDSocket.Handle? { get }
    /// Sends bytes of the sink's dialect at once.
    func write(_ bytes: ByteBuffer)
    /// Says where the stream begins. Comes before any event, and only to who asked for a start.
    func resumed(_ resumption: Resumption, epoch: String)
    /// Asks the peer for a sign of life, or where none can come gives it one.
    func probe()
    /// Ends the stream in its dialect's way. The subscriber is already out of the fan-out.
    func end(_ reason: EndReason)
}

extension SubscriberSink {
    public var hasUnsent: Bool { !isWritable }

    public var openDescriptor: NIOBSDSocket.Handle? { nil }
}

extension ByteBuffer {
    /// The entries as one run of bytes; of a single one its own, uncopied.
    init(joining entries: [ByteBuffer]) {
        if entries.count == 1 {
            self = entries[0]
        } else {
            self = ByteBufferAllocator().buffer(capacity: entries.reduce(0) { $0 + $1.readableBytes })
            for entry in entries { writeImmutableBuffer(entry) }
        }
    }
}

/// One listener: an object of its event loop, without a task, a lock or a queue of its own.
public final class Subscriber {
    let id: Int64
    let subscription: Subscription
    let group: SubscriberGroup
    /// Broken when the subscriber leaves the fan-out.
    var sink: (any SubscriberSink)?
    var delivery: Delivery
    /// Its places in the shard's and its group's arrays, for removal without a search.
    var shardIndex = 0
    var groupIndex = 0
    /// The shard's second in which the peer was last heard, or last given a sign of life.
    var lastHeard: UInt32
    let began: UInt32
    var isProbed = false
    /// The read of the log that is under way for it.
    var reading: CatchUpReader.Ticket?
    /// Entries that it was written, those by its lane left out while it has one.
    var deliveries = 0
    /// What its group had sent by lane when it got its own.
    var entriesBeforeLane = 0
    /// A start that the client asked for has been answered.
    var hasBegun = false
    /// What it had been given when it left the fan-out.
    var departure: Int64?
    /// What it had been given when last nothing of it was left in this process.
    var flushed: Int64

    init(
        id: Int64, subscription: Subscription, group: SubscriberGroup, sink: any SubscriberSink, delivery: Delivery,
        now: UInt32
    ) {
        self.id = id
        self.subscription = subscription
        self.group = group
        self.sink = sink
        self.delivery = delivery
        lastHeard = now
        began = now
        if case .after(let position) = subscription.start { flushed = position } else { flushed = 0 }
    }

    var kind: Dialect.Kind { subscription.dialect.kind }
}
