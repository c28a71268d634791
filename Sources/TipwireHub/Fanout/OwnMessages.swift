import NIOCore
import TipwireSockets
import TipwireWire

/// Entries as a listener of EventSub gets them: each in a frame of its own, whose payload begins with its subscription.
///
/// What is the same for all listeners is looked up once, so that each costs little more than the copies that its message is put
/// together by. Good for as long as the parcels are.
struct OwnMessages {
    private let entries: [Parcel]

    init(_ entries: [Parcel]) { self.entries = entries }

    /// Bytes of a message.
    func size(beginning: Parcel) -> Int {
        entries.reduce(0) { $0 + WebSocketFrame.textSize(payloadLength: beginning.count + $1.count) }
    }

    /// Puts a message together in a place of as many bytes.
    func put(beginning: Parcel, into place: UnsafeMutableRawBufferPointer) {
        var written = 0
        func put(_ parcel: Parcel) {
            let rest = UnsafeMutableRawBufferPointer(rebasing: place[written...])
            rest.copyMemory(from: parcel.bytes)
            written += parcel.count
        }
        for entry in entries {
            written += WebSocketFrame.putTextHeader(
                payloadLength: beginning.count + entry.count,
                into: UnsafeMutableRawBufferPointer(rebasing: place[written...]))
            put(beginning)
            put(entry)
        }
    }

    /// A message by itself.
    func message(beginning: Parcel) -> ByteBuffer {
        let size = size(beginning: beginning)
        var message = ByteBufferAllocator().buffer(capacity: size)
        message.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { place in
            put(beginning: beginning, into: UnsafeMutableRawBufferPointer(rebasing: place[..<size]))
            return size
        }
        return message
    }
}

extension Subscriber {
    /// What each of its messages begins with; good for as long as it is.
    var beginning: Parcel { Parcel(subscription.eventSub?.beginning ?? ByteBuffer()) }

    /// Entries of the fan-out as this listener gets them, joined.
    func message(of entries: [ByteBuffer]) -> ByteBuffer {
        guard !subscription.dialect.isShared else { return ByteBuffer(joining: entries) }
        return withExtendedLifetime(entries) {
            OwnMessages(entries.map { Parcel($0) }).message(beginning: beginning)
        }
    }
}
