import TipwireCore
import TipwireStore

/// Where each socket subscription is in its life. A pure value; times come in, decisions go out.
///
/// A subscription waits for a socket, for `window` after it was made and after each socket that it had; it has one socket
/// at a time; and when its window closes it is gone.
///
/// On a store that several nodes share it waits there, and only those are this node's to decide on that have a socket here, or
/// were promised one.
struct SocketRegistry {
    enum Phase: Hashable {
        /// No socket yet, or not any more; gone at `until`.
        case waiting(until: Timestamp, position: Int64)
        /// A socket has been promised, and is not there yet.
        case claimed(position: Int64)
        case connected
        /// It is being given to the store. Nobody has it until that is known to be done.
        case leaving(position: Int64)
        /// The store knows who has it: nobody, or another node.
        case elsewhere(isConnected: Bool)
    }

    struct Entry: Hashable {
        let subscription: EventSubscription
        var phase: Phase
        /// The number of its last claim. Who holds an older one has nothing to say any more.
        fileprivate(set) var claim = 0

        /// Whether this node decides on it.
        var isHere: Bool { if case .elsewhere = phase { false } else { true } }
        /// Whether it is on its way to the store.
        var isLeaving: Bool { if case .leaving = phase { true } else { false } }
        var isConnected: Bool { phase == .connected || phase == .elsewhere(isConnected: true) }
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
    /// The number of the last claim.
    private(set) var claims = 0

    init(window: Int64) { self.window = window }

    mutating func add(_ subscription: EventSubscription, position: Int64, at now: Timestamp) {
        add(subscription, .waiting(until: now.advanced(milliseconds: window), position: position))
    }

    mutating func add(_ subscription: EventSubscription, _ phase: Phase) {
        entries[subscription.id] = Entry(subscription: subscription, phase: phase)
    }

    mutating func claim(_ id: String, at now: Timestamp) -> Claim {
        guard let entry = entries[id] else { return .unknown }
        switch entry.phase {
        case .waiting(let until, let position):
            guard now < until else { return .unknown }
            promise(id, position: position)
            return .granted(entry.subscription, position: position)
        case .claimed, .connected, .leaving: return .occupied
        case .elsewhere: return .unknown
        }
    }

    private mutating func promise(_ id: String, position: Int64) {
        claims += 1
        entries[id]!.phase = .claimed(position: position)
        entries[id]!.claim = claims
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
        case .waiting, .leaving, .elsewhere, nil: last = nil
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

// MARK: - With a store that several nodes share

extension SocketRegistry {
    /// The store has given a subscription to this node, for a socket that is promised.
    mutating func receive(_ socket: StoredSocket) {
        let subscription = socket.subscription
        if entries[subscription.id] == nil { add(subscription, .elsewhere(isConnected: false)) }
        promise(subscription.id, position: socket.position)
    }

    /// All that wait here, and where each stands: they are to be given to the store.
    ///
    /// - Parameter unsettled: those that could not be given to it before.
    mutating func giveBack(_ unsettled: Set<String>) -> [String: Int64] {
        var positions: [String: Int64] = [:]
        for (id, entry) in entries {
            switch entry.phase {
            case .waiting(_, let position):
                entries[id]!.phase = .leaving(position: position)
                positions[id] = position
            case .leaving(let position) where unsettled.contains(id): positions[id] = position
            case .claimed, .connected, .leaving, .elsewhere: break
            }
        }
        return positions
    }

    /// It waits here: the store takes it for this node's, which has no socket for it.
    mutating func returnHere(_ id: String, position: Int64, at now: Timestamp) {
        entries[id]?.phase = .waiting(until: now.advanced(milliseconds: window), position: position)
    }

    /// The store says who has it.
    mutating func leave(_ id: String, isConnected: Bool) { entries[id]?.phase = .elsewhere(isConnected: isConnected) }

    /// The log ends at `head`: nobody was told of more.
    mutating func clamp(to head: Int64) {
        for (id, entry) in entries {
            switch entry.phase {
            case .waiting(let until, let position) where position > head:
                entries[id]!.phase = .waiting(until: until, position: head)
            case .claimed(let position) where position > head: entries[id]!.phase = .claimed(position: head)
            case .leaving(let position) where position > head: entries[id]!.phase = .leaving(position: head)
            default: break
            }
        }
    }
}
