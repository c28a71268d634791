import NIOCore
import TipwireCore

/// The last events that the listeners of a loop were offered, without a hole: for whoever has missed just these.
///
/// A browser source that is reloaded, a bot whose connection broke, a crowd that comes back after a proxy's restart: they have
/// missed seconds, and while they read the log its end moves on. What is here needs no read and is level at once. The
/// events, and what they were encoded to, are those of the fan-out, shared by all loops.
struct RecentEvents {
    /// Most of them; with the limit on an event's size, at most a few MiB. As many as a stretch of the log that is read.
    static let most = CatchUpReader.stretchEvents

    /// Of the log that they are of.
    let epoch: String
    private let capacity: Int
    private var events: CircularBuffer<EncodedEvent>
    /// Every event after this one is here, up to the last that was offered.
    private var start: Int64

    /// - Parameter capacity: 0 for none at all.
    init(after log: LogBounds, capacity: Int = most) {
        self.capacity = capacity
        epoch = log.epoch
        start = log.head
        events = CircularBuffer(initialCapacity: capacity)
    }

    /// A batch up to `through` has been offered.
    mutating func append(_ batch: [EncodedEvent], through: Int64) {
        guard capacity > 0 else {
            start = through
            return
        }
        for event in batch {
            if events.count == capacity { start = events.removeFirst().sequence }
            events.append(event)
        }
    }

    /// Those of a listener's pages after `sequence`: nil if they aren't all here, or if a page has been changed since, which its
    /// events show.
    func missed(after sequence: Int64, by audience: Audience, in view: borrowing DirectoryView) -> [EncodedEvent]? {
        guard sequence >= start else { return nil }
        let pages = audience.pages(in: view)
        var missed: [EncodedEvent] = []
        for event in events where event.sequence > sequence && pages.contains(event.page.id) {
            guard view.page(event.page.id) == event.page else { return nil }
            missed.append(event)
        }
        return missed
    }
}
