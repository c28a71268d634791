import NIOCore
import TipwireCore
import TipwireSockets

/// Listeners of one audience and dialect on one event loop, who get the same bytes at the same time.
final class SubscriberGroup {
    struct Key: Hashable {
        let dialect: Dialect
        let audience: Audience
    }

    let key: Key
    private(set) var subscribers: [Subscriber] = []
    /// For each of them the descriptor that bytes may be sent to without another look at it, or `noLane`. Apart from them and
    /// close together, so that a batch for ten thousand who all keep up touches forty kilobytes of them and not four megabytes.
    ///
    /// One who has a lane is level with the log and connected, and nothing of its stream waits in this process. Whatever ends
    /// one of these takes the lane away in the same step of the loop: `remove` when the connection ends, for any reason, and
    /// `Shard.held` when its channel is given bytes.
    private(set) var lanes: ContiguousArray<NIOBSDSocket.Handle> = []
    static let noLane: NIOBSDSocket.Handle = -1
    private(set) var laneCount = 0
    /// For each of them what its messages begin with, where they aren't the same for all; it is the subscriber's, who keeps it.
    private(set) var beginnings: ContiguousArray<Parcel> = []
    /// Entries that those with a lane have been sent since the group began.
    private(set) var entriesByLane = 0
    /// The entries of the batch being delivered.
    var pending: [(sequence: Int64, bytes: ByteBuffer)] = []

    init(key: Key) { self.key = key }

    func add(_ subscriber: Subscriber) {
        subscriber.groupIndex = subscribers.count
        subscribers.append(subscriber)
        lanes.append(Self.noLane)
        if !key.dialect.isShared { beginnings.append(subscriber.beginning) }
    }

    func remove(_ subscriber: Subscriber) {
        closeLane(of: subscriber)
        let index = subscriber.groupIndex
        let last = subscribers.removeLast()
        let lane = lanes.removeLast()
        let beginning = beginnings.popLast()
        guard index < subscribers.count else { return }
        subscribers[index] = last
        if let beginning { beginnings[index] = beginning }
        lanes[index] = lane
        last.groupIndex = index
    }

    /// From the next batch on a listener is sent what comes without being asked. It has just been sent, or is being sent,
    /// everything up to now.
    func openLane(to descriptor: NIOBSDSocket.Handle, of subscriber: Subscriber) {
        guard lanes[subscriber.groupIndex] == Self.noLane else { return }
        lanes[subscriber.groupIndex] = descriptor
        laneCount += 1
        subscriber.entriesBeforeLane = entriesByLane
    }

    func closeLane(of subscriber: Subscriber) {
        guard lanes[subscriber.groupIndex] != Self.noLane else { return }
        lanes[subscriber.groupIndex] = Self.noLane
        laneCount -= 1
        subscriber.deliveries += entriesByLane - subscriber.entriesBeforeLane
    }

    /// Everyone with a lane has been sent so many more entries.
    func countByLane(_ entries: Int) { entriesByLane += entries }

    /// What a listener has been sent since it came, in entries.
    func deliveries(to subscriber: Subscriber) -> Int {
        let byLane = lanes[subscriber.groupIndex] == Self.noLane ? 0 : entriesByLane - subscriber.entriesBeforeLane
        return subscriber.deliveries + byLane
    }
}

/// The groups of one event loop, found by what they listen for and by the events that concern them.
struct SubscriberGroups {
    private var groups: [SubscriberGroup.Key: SubscriberGroup] = [:]
    private var byPage: [Page.ID: [SubscriberGroup]] = [:]
    private var byOwner: [Account.ID: [SubscriberGroup]] = [:]

    /// The group of a key; made if there is none.
    mutating func group(for key: SubscriberGroup.Key) -> SubscriberGroup {
        if let group = groups[key] { return group }
        let group = SubscriberGroup(key: key)
        groups[key] = group
        switch key.audience {
        case .page(let page): byPage[page, default: []].append(group)
        case .owner(let account, _): byOwner[account, default: []].append(group)
        }
        return group
    }

    mutating func drop(_ group: SubscriberGroup) {
        groups[group.key] = nil
        switch group.key.audience {
        case .page(let page):
            byPage[page]?.removeAll { $0 === group }
            if byPage[page]?.isEmpty == true { byPage[page] = nil }
        case .owner(let account, _):
            byOwner[account]?.removeAll { $0 === group }
            if byOwner[account]?.isEmpty == true { byOwner[account] = nil }
        }
    }

    /// Puts a batch before the groups that it concerns: each has its entries pending.
    ///
    /// - Returns: those that have any, each once.
    func sort(_ events: [EncodedEvent]) -> [SubscriberGroup] {
        var touched: [SubscriberGroup] = []
        func add(_ event: EncodedEvent, to group: SubscriberGroup) {
            guard let bytes = event.bytes(in: group.key.dialect) else { return }
            if group.pending.isEmpty { touched.append(group) }
            group.pending.append((event.sequence, bytes))
        }
        for event in events {
            for group in byPage[event.page.id] ?? [] { add(event, to: group) }
            for group in byOwner[event.page.owner] ?? [] {
                if case .owner(_, let limit?) = group.key.audience, !limit.contains(event.page.id) { continue }
                add(event, to: group)
            }
        }
        return touched
    }
}
