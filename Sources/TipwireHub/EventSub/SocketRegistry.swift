import TipwireCore

/// Where each socket subscription is in its life. A pure value; times come in, decisions go out.
///
/// A subscription waits for a socket, for `window` after it was made and after each socket that it had; it has one socket
/// at a time; and when its window closes it is gone.
struct SocketRegistry {
    enum Phase: Hashable {
        /// No socket yet, or not any more; gone at `until`.
        case waiting(until: Timestamp, position: Int64)
        /// A socket has been promised, and is not there yet.
        case claimed(position: Int64)
        case connected
    }

    struct Entry: Hashable {
        let subscription: EventSubscription
        var phase: Phase
    }

    enum Claim: Hashable {
        /// Deliver what follows `position`.
        case granted(EventSubscription, position: Int64)
        /// There is a socket. It must show that it lives, or make room.
        case occupied
        case unknown
    }

    /// Milliseconds that a subscription waits for a socket.
    let window: Int64
    private(set) var entries: [String: Entry] = [:]

    init(window: Int64) { self.window = window }

    mutating func add(_ subscription: EventSubscription, position: Int64, at now: Timestamp) {
        let until = now.advanced(milliseconds: window)
        entries[subscription.id] = Entry(
            subscription: subscription, phase: .waiting(until: until, position: position))
    }

    mutating func claim(_ id: String, at now: Timestamp) -> Claim {
        guard let entry = entries[id] else { return .unknown }
        switch entry.phase {
        case .waiting(let until, let position):
            guard now < until else { return .unknown }
            entries[id]!.phase = .claimed(position: position)
            return .granted(entry.subscription, position: position)
        case .claimed, .connected: return .occupied
        }
    }

    /// The promised socket is there.
    mutating func connect(_ id: String) { entries[id]?.phase = .connected }

    /// A socket that was promised or there is gone, and the window is open again.
    ///
    /// - Parameter position: what was delivered; nil when the promised socket never came.
    mutating func release(_ id: String, position: Int64?, at now: Timestamp) {
        let last: Int64?
        switch entries[id]?.phase {
        case .claimed(let kept): last = position ?? kept
        case .connected: last = position
        case .waiting, nil: last = nil
        }
        guard let last else { return }
        entries[id]!.phase = .waiting(until: now.advanced(milliseconds: window), position: last)
    }

    mutating func remove(_ id: String) -> EventSubscription? {
        entries.removeValue(forKey: id)?.subscription
    }

    /// Removes what satisfies `condition`.
    mutating func remove(where condition: (Entry) -> Bool) -> [EventSubscription] {
        entries.values.filter(condition).compactMap { remove($0.subscription.id) }
    }

    /// Removes those whose window has closed.
    mutating func expire(at now: Timestamp) -> [EventSubscription] {
        remove { entry in
            if case .waiting(let until, _) = entry.phase { until <= now } else { false }
        }
    }
}
