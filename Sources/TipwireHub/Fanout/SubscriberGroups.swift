import NIOCore
import TipwireCore

/// Listeners of one audience and dialect on one event loop, who get the same bytes at the same time.
final class SubscriberGroup {
    struct Key: Hashable {
        let dialect: Dialect
        let audience: Audience
    }

    let key: Key
    var subscribers: [Subscriber] = []
    /// The entries of the batch being delivered.
    var pending: [(sequence: Int64, bytes: ByteBuffer)] = []

    init(key: Key) { self.key = key }

    /// The pending entries as one run of bytes; of a single one its own, uncopied.
    func joined(allocator: ByteBufferAllocator) -> ByteBuffer {
        if pending.count == 1 { return pending[0].bytes }
        var joined = allocator.buffer(capacity: pending.reduce(0) { $0 + $1.bytes.readableBytes })
        for entry in pending { joined.writeImmutableBuffer(entry.bytes) }
        return joined
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
