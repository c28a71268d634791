import NIOCore
import TipwireSockets

/// One batch on its way to the listeners of one event loop: in two steps, so that no socket can close in the middle of a
/// sender's turn.
///
/// First every listener is offered its bytes, and those whose sockets can take them at once are sent them: by their lanes, or
/// after a look at them, which gives them a lane for the next time. Nobody is called who could close anything. Then what is
/// left is done one by one: bytes that go through a connection's channel, those that a socket did not take, and the ends of
/// the slow. Each listener is in one group and so comes once.
struct DeliveryTurn {
    /// What one group is offered.
    private struct Offer {
        let group: SubscriberGroup
        let entries: [(sequence: Int64, bytes: ByteBuffer)]
        /// The bytes alone.
        let pieces: [ByteBuffer]
        /// The same for all; nil in a dialect in which each listener puts something of its own before every entry.
        let shared: (bytes: ByteBuffer, parcel: Parcel)?
        let size: Int
    }

    /// What is to be done with a listener in the second step.
    enum Rest {
        /// These are written: all it was offered, or what its socket did not take of that.
        case bytes(ByteBuffer)
        /// Of what it was offered it had a part already; these are written.
        case entries([ByteBuffer])
        case cut(Delivery.Cut)
    }

    /// The place of a listener among all of the turn, in a number that a sender carries: its group's and its own in that.
    private struct Place {
        let offer: Int
        let index: Int

        init(offer: Int, index: Int) {
            self.offer = offer
            self.index = index
        }

        init(_ recipient: Int) { self.init(offer: recipient >> 32, index: recipient & 0xFFFF_FFFF) }

        var recipient: Int { offer << 32 | index }
    }

    private let sender: any SocketSender
    private let now: UInt32
    private let limits: Delivery.Limits
    private var offers: [Offer] = []
    private var rests: [(subscriber: Subscriber, rest: Rest)] = []

    init(sender: any SocketSender, now: UInt32, limits: Delivery.Limits) {
        self.sender = sender
        self.now = now
        self.limits = limits
    }

    /// Offers a group what is pending for it.
    ///
    /// - Returns: what that came to.
    mutating func offer(to group: SubscriberGroup) -> ShardStatistics.Share {
        let entries = group.pending
        let pieces = entries.map(\.bytes)
        var shared: (bytes: ByteBuffer, parcel: Parcel)?
        if group.key.dialect.isShared {
            let joined = ByteBuffer(joining: pieces)
            shared = (joined, sender.hold(joined))
        }
        group.pending.removeAll(keepingCapacity: true)
        let offer = Offer(
            group: group, entries: entries, pieces: pieces, shared: shared,
            size: pieces.reduce(0) { $0 + $1.readableBytes })
        offers.append(offer)
        var share = ShardStatistics.Share()
        let first = entries[0].sequence
        let last = entries[entries.count - 1].sequence
        let byLane = group.laneCount
        share.deliveries = byLane * entries.count
        share.bytes = byLane * offer.size
        group.countByLane(entries.count)
        if let shared {
            sender.send(shared.parcel, to: group.lanes, base: Place(offer: offers.count - 1, index: 0).recipient)
            if byLane == group.subscribers.count { return share }
        }
        // Those who get one now have it from the next batch on.
        let lanes = group.lanes
        for (index, subscriber) in group.subscribers.enumerated() {
            if lanes[index] != SubscriberGroup.noLane {
                if shared == nil, let sink = subscriber.sink { send(offer, to: lanes[index], subscriber, sink) }
                continue
            }
            guard let sink = subscriber.sink else { continue }
            let action = subscriber.delivery.offer(
                first: first, last: last, bytes: offer.size, isWritable: sink.isWritable, now: now, limits: limits)
            switch action {
            case .writeAll:
                subscriber.deliveries += entries.count
                share.deliveries += entries.count
                share.bytes += offer.size
                guard let descriptor = sink.openDescriptor else {
                    rests.append((subscriber, .bytes(bytes(of: offer, for: sink))))
                    continue
                }
                send(offer, to: descriptor, subscriber, sink)
                group.openLane(to: descriptor, of: subscriber)
            case .write(let above):
                rests.append((subscriber, .entries(entries.filter { $0.sequence > above }.map(\.bytes))))
            case .hold:
                break
            case .cut(let reason):
                rests.append((subscriber, .cut(reason)))
            }
        }
        return share
    }

    private func send(
        _ offer: Offer, to descriptor: NIOBSDSocket.Handle, _ subscriber: Subscriber, _ sink: any SubscriberSink
    ) {
        let recipient = Place(offer: offers.count - 1, index: subscriber.groupIndex).recipient
        if let shared = offer.shared {
            sender.send(shared.parcel, to: descriptor, recipient: recipient)
        } else {
            sender.send(sink.size(of: offer.pieces), to: descriptor, recipient: recipient) {
                sink.put(offer.pieces, into: $0)
            }
        }
    }

    private func bytes(of offer: Offer, for sink: any SubscriberSink) -> ByteBuffer {
        offer.shared?.bytes ?? sink.message(of: offer.pieces)
    }

    /// Ends the first step.
    ///
    /// - Returns: what the second has to do. None of it has begun.
    mutating func finish() -> [(subscriber: Subscriber, rest: Rest)] {
        for shortfall in sender.finish() {
            let place = Place(shortfall.recipient)
            let offer = offers[place.offer]
            let subscriber = offer.group.subscribers[place.index]
            guard let sink = subscriber.sink else { continue }
            var rest = bytes(of: offer, for: sink)
            rest.moveReaderIndex(forwardBy: shortfall.sent)
            rests.append((subscriber, .bytes(rest)))
        }
        return rests
    }
}
