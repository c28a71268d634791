import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// The events that deliveries are about now, each encoded once for all webhooks of its type.
///
/// Webhooks of one page go through the same stretch of the log at about the same time. What one of them needs the others
/// need, and what it needs next follows in the log: so a miss reads a run of the page's events, and the rest are hits.
final class EventWindow: Sendable {
    /// Events that are held, the latest ones that were asked for or committed: at most 16 MiB of the longest there are.
    static let maximumEvents = 1_024
    /// Events that a miss reads.
    static let run = 64

    private struct State {
        var events: [Int64: EncodedEvent] = [:]
        /// Their sequences in the order in which they came; a ring once it is full.
        var order: [Int64] = []
        var next = 0
    }

    private let store: any LogStore
    private let encoder: EventEncoder
    private let state = Mutex(State())

    init(store: any LogStore, encoder: EventEncoder) {
        self.store = store
        self.encoder = encoder
    }

    /// The event, nil when it is no longer in the log, or its page is gone.
    func event(_ sequence: Int64, of page: Page.ID) async throws -> EncodedEvent? {
        if let held = state.withLock({ $0.events[sequence] }) { return held }
        let slice = try await store.events(after: sequence - 1, pages: .some([page]), limit: Self.run)
        let events = try await encoder.encode(slice.events)
        put(events)
        return events.first.flatMap { $0.sequence == sequence ? $0 : nil }
    }

    /// What is held is of a log that is no more.
    func clear() { state.withLock { $0 = State() } }

    func put(_ events: [EncodedEvent]) {
        state.withLock { state in
            for event in events where state.events.updateValue(event, forKey: event.sequence) == nil {
                if state.order.count < Self.maximumEvents {
                    state.order.append(event.sequence)
                } else {
                    state.events[state.order[state.next]] = nil
                    state.order[state.next] = event.sequence
                    state.next = (state.next + 1) % Self.maximumEvents
                }
            }
        }
    }
}
