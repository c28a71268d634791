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
        /// Kept to the end of the turn, after what the sender holds: messages are put together from them to the last.
        let entries: [(sequence: Int64, bytes: ByteBuffer)]
        let message: Message
        let size: Int
    }

    private enum Message {
        /// The same for all.
        case shared(ByteBuffer, Parcel)
        /// Each listener has something of its own before every entry.
        case own(OwnMessages)
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
        let message: Message
        if group.key.dialect.isShared {
            let joined = ByteBuffer(joining: entries.map(\.bytes))
            message = .shared(joined, sender.hold(joined))
        } else {
            message = .own(OwnMessages(entries.map { sender.hold($0.bytes) }))
        }
        group.pending.removeAll(keepingCapacity: true)
        let offer = Offer(
            group: group, entries: entries, message: message, size: entries.reduce(0) { $0 + $1.bytes.readableBytes })
        offers.append(offer)
        var share = ShardStatistics.Share()
        let first = entries[0].sequence
        let last = entries[entries.count - 1].sequence
        let byLane = group.laneCount
        share.deliveries = byLane * entries.count
        share.bytes = byLane * offer.size
        group.countByLane(entries.count)
        let lanes = group.lanes
        switch offer.message {
        case .shared(_, let parcel):
            sender.send(parcel, to: lanes, base: Place(offer: offers.count - 1, index: 0).recipient)
        case .own(let messages):
            for (index, lane) in lanes.enumerated() where lane != SubscriberGroup.noLane {
                send(messages, to: lane, offer, index: index)
            }
        }
        if byLane == group.subscribers.count { return share }
        // Those who get a lane now have it from the next batch on.
        for (index, subscriber) in group.subscribers.enumerated() where lanes[index] == SubscriberGroup.noLane {
            guard let sink = subscriber.sink else { continue }
            let action = subscriber.delivery.offer(
                first: first, last: last, bytes: offer.size, isWritable: sink.isWritable, now: now, limits: limits)
            switch action {
            case .writeAll:
                subscriber.deliveries += entries.count
                share.deliveries += entries.count
                share.bytes += offer.size
                guard let descriptor = sink.openDescriptor else {
                    rests.append((subscriber, .bytes(bytes(of: offer, index: index))))
                    continue
                }
                switch offer.message {
                case .shared(_, let parcel):
                    let place = Place(offer: offers.count - 1, index: index)
                    sender.send(parcel, to: descriptor, recipient: place.recipient)
                case .own(let messages): send(messages, to: descriptor, offer, index: index)
                }
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

    /// Sends the last offer to the listener in a place of its group.
    private func send(_ messages: OwnMessages, to descriptor: NIOBSDSocket.Handle, _ offer: Offer, index: Int) {
        let beginning = offer.group.beginnings[index]
        let place = Place(offer: offers.count - 1, index: index)
        sender.send(messages.size(beginning: beginning), to: descriptor, recipient: place.recipient) {
            messages.put(beginning: beginning, into: $0)
        }
    }

    private func bytes(of offer: Offer, index: Int) -> ByteBuffer {
        switch offer.message {
        case .shared(let bytes, _): bytes
        case .own(let messages): messages.message(beginning: offer.group.beginnings[index])
        }
    }

    /// Ends the first step.
    ///
    /// - Returns: what the second has to do. None of it has begun.
    mutating func finish() -> [(subscriber: Subscriber, rest: Rest)] {
        for shortfall in sender.finish() {
            let place = Place(shortfall.recipient)
            let offer = offers[place.offer]
            let subscriber = offer.group.subscribers[place.index]
            guard subscriber.sink != nil else { continue }
            var rest = bytes(of: offer, index: place.index)
            rest.moveReaderIndex(forwardBy: shortfall.sent)
            rests.append((subscriber, .bytes(rest)))
        }
        return rests
    }
}
