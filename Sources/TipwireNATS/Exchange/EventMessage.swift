import NIOCore
import TipwireCore
import TipwireWire

/// What nodes hand each other: events as they were committed, in order.
///
/// A byte of version (1); the log's epoch and the node that sends, each a byte of length and UTF-8; four bytes with the
/// number of events; then each event: its sequence, its page and its time, eight bytes each, its kind, a byte of length and
/// UTF-8, and its data as the log stores it (`EventData`), four bytes of length and JSON. All numbers big-endian. Nothing
/// may follow.
struct EventMessage: Equatable {
    /// Who sends it, and of which log.
    struct Origin: Equatable {
        let epoch: String
        let node: String
    }

    let origin: Origin
    let events: [Event]

    static let version: UInt8 = 1
    /// Bytes of the longest message, unless it is one event alone: well below the 1 MiB that NATS takes by default.
    static let usualLimit = 512 * 1_024
    /// Beyond this no log gets; what says so would let arithmetic overflow.
    private static let lastSequence: Int64 = 1 << 53

    // MARK: Writing

    /// The events as messages of at most `limit` bytes. An event that is longer alone is left out: who misses it finds it in
    /// the log.
    static func encode(
        _ events: [Event], from origin: Origin, limit: Int = usualLimit
    ) -> [(bytes: ByteBuffer, count: Int)] {
        let head = head(of: origin)
        var messages: [(bytes: ByteBuffer, count: Int)] = []
        var bytes = begun(with: head)
        var count = 0
        func end() {
            guard count > 0 else { return }
            bytes.setInteger(UInt32(count), at: head.readableBytes)
            messages.append((bytes, count))
        }
        for event in events {
            let entry = entry(of: event)
            guard head.readableBytes + 4 + entry.readableBytes <= limit else { continue }
            if bytes.readableBytes + entry.readableBytes > limit {
                end()
                bytes = begun(with: head)
                count = 0
            }
            bytes.writeImmutableBuffer(entry)
            count += 1
        }
        end()
        return messages
    }

    private static func head(of origin: Origin) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(version)
        write(origin.epoch, to: &bytes)
        write(origin.node, to: &bytes)
        return bytes
    }

    private static func begun(with head: ByteBuffer) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(minimumWritableBytes: 4_096)
        bytes.writeImmutableBuffer(head)
        bytes.writeInteger(UInt32(0))
        return bytes
    }

    private static func entry(of event: Event) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(event.sequence)
        bytes.writeInteger(event.page.rawValue)
        bytes.writeInteger(event.time.milliseconds)
        write(event.body.kind.rawValue, to: &bytes)
        let data = EventData.encode(event.body, page: label)
        bytes.writeInteger(UInt32(data.readableBytes))
        bytes.writeImmutableBuffer(data)
        return bytes
    }

    /// Stands where the log has the page's name and currency, which nobody reads: each node knows its pages.
    private static let label = PageLabel(slug: Slug("page")!, currency: .usd)

    private static func write(_ text: String, to bytes: inout ByteBuffer) {
        precondition(text.utf8.count <= UInt8.max)
        bytes.writeInteger(UInt8(text.utf8.count))
        bytes.writeString(text)
    }

    // MARK: Reading

    /// Reads the beginning of a message, by which most that don't concern a node are told.
    static func readOrigin(of bytes: inout ByteBuffer) throws(Unreadable) -> Origin {
        guard let version = bytes.readInteger(as: UInt8.self) else { throw Unreadable("it is empty") }
        guard version == Self.version else { throw Unreadable("it is of version \(version)") }
        return Origin(epoch: try readText(&bytes), node: try readText(&bytes))
    }

    /// Reads what follows the origin.
    static func readEvents(of bytes: inout ByteBuffer) throws -> [Event] {
        guard let count = bytes.readInteger(as: UInt32.self) else { throw Unreadable.short }
        var events: [Event] = []
        // The number is a stranger's word: what it says isn't kept room for.
        for _ in 0..<count {
            let event = try readEvent(&bytes)
            guard event.sequence > events.last?.sequence ?? 0, event.sequence <= lastSequence else {
                throw Unreadable("its events are out of order or range")
            }
            events.append(event)
        }
        guard bytes.readableBytes == 0 else { throw Unreadable("something follows its events") }
        return events
    }

    private static func readEvent(_ bytes: inout ByteBuffer) throws -> Event {
        guard let (sequence, page, time) = bytes.readMultipleIntegers(as: (Int64, Int64, Int64).self) else {
            throw Unreadable.short
        }
        let kind = try readText(&bytes)
        guard let length = bytes.readInteger(as: UInt32.self), let data = bytes.readSlice(length: Int(length)) else {
            throw Unreadable.short
        }
        return Event(
            sequence: sequence, page: Page.ID(rawValue: page), time: Timestamp(milliseconds: time),
            body: try EventData.decode(kind: kind, data: data))
    }

    private static func readText(_ bytes: inout ByteBuffer) throws(Unreadable) -> String {
        guard let length = bytes.readInteger(as: UInt8.self), let text = bytes.readString(length: Int(length)) else {
            throw .short
        }
        return text
    }

    struct Unreadable: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }

        static let short = Unreadable("it ends too early")
    }
}
