import TipwireCore
import TipwireStore

/// What is known of a page while it has overlays on this node.
struct Wall {
    /// Most alerts of one page that are remembered as shown, or lent.
    static let maximumAlerts = 1_000

    private struct Lease {
        let holder: Int
        var until: Timestamp
    }

    /// The overlays that are connected, and since when; a place has several while a new connection replaces an old one.
    private var present: [OverlayPlace: [Int: Timestamp]] = [:]
    /// Empty where nodes share the store, which lends alerts then.
    private var leases: [Int64: Lease] = [:]
    private var shown: Set<Int64> = []
    /// Of those that wait to be written.
    var reports = 0

    var isEmpty: Bool { present.isEmpty }

    var places: [OverlayPlace: Timestamp] { present.compactMapValues { $0.values.min() } }

    func since(_ place: OverlayPlace) -> Timestamp? { present[place]?.values.min() }

    // MARK: Coming and going

    /// - Parameter elsewhere: the page's places on other nodes.
    func hasRoom(for place: OverlayPlace, elsewhere: some Collection<OverlayPlace>) -> Bool {
        if let connections = present[place]?.count { return connections < Limits.copies }
        return elsewhere.contains(place) || Set(present.keys).union(elsewhere).count < Limits.screens
    }

    mutating func arrive(_ id: Int, at place: OverlayPlace, now: Timestamp) {
        present[place, default: [:]][id] = now
    }

    func has(_ id: Int, at place: OverlayPlace) -> Bool { present[place]?[id] != nil }

    /// What it was about to show is for another to show.
    ///
    /// - Returns: false when it had left before.
    mutating func leave(_ id: Int, from place: OverlayPlace) -> Bool {
        guard present[place]?.removeValue(forKey: id) != nil else { return false }
        if present[place]?.isEmpty == true { present[place] = nil }
        leases = leases.filter { $0.value.holder != id }
        return true
    }

    // MARK: Alerts

    mutating func showed(_ sequences: some Sequence<Int64>) {
        shown.formUnion(sequences)
        // Forgets the oldest, in one go for many, so that it costs each little.
        guard shown.count > Self.maximumAlerts * 2 else { return }
        shown = Set(shown.sorted().suffix(Self.maximumAlerts))
    }

    mutating func claim(_ sequence: Int64, for id: Int, at now: Timestamp) -> AlertLease {
        let lease = leases[sequence]
        if shown.contains(sequence) {
            // Who shows it asks again from time to time, and is told to go on.
            return lease?.holder == id ? .granted : .shown
        }
        if let lease, lease.holder != id, lease.until > now { return .held }
        if lease == nil, leases.count >= Self.maximumAlerts {
            // Nobody who is at it loses it to one who claims without end.
            leases = leases.filter { $0.value.until > now }
            if leases.count >= Self.maximumAlerts { return .held }
        }
        leases[sequence] = Lease(holder: id, until: now.advanced(milliseconds: AlertTimes.lease))
        return .granted
    }

    mutating func reopen(_ sequence: Int64) {
        leases[sequence] = nil
        shown.remove(sequence)
    }

    /// What comes behind `head` are other events than those of before.
    mutating func forget(after head: Int64) {
        leases = leases.filter { $0.key <= head }
        shown = shown.filter { $0 <= head }
    }
}
