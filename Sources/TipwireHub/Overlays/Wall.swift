import TipwireCore
import TipwireStore

/// What is known of a page while it has overlays on this node.
struct Wall {
    /// How long an alert stays with who was given it and says nothing more.
    static let leaseMilliseconds = SharedAlerts.lease
    /// Most alerts of one page that are remembered as shown, or lent.
    static let maximumAlerts = 1_000

    /// What comes of a claim here.
    enum Answer {
        case settled(AlertLease)
        /// Of all that are here it is the one who asks. Where nodes share a store that has the last word.
        case lent
    }

    private struct Lease {
        let holder: Int
        var until: Timestamp
    }

    /// The overlays that are connected, and since when; a place has several while a new connection replaces an old one.
    private var present: [OverlayPlace: [Int: Timestamp]] = [:]
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

    /// - Returns: the alerts that it was about to show, which are for another to show; nil when it had left before.
    mutating func leave(_ id: Int, from place: OverlayPlace) -> [Int64]? {
        guard present[place]?.removeValue(forKey: id) != nil else { return nil }
        if present[place]?.isEmpty == true { present[place] = nil }
        let mine = leases.filter { $0.value.holder == id }.map(\.key)
        for sequence in mine { leases[sequence] = nil }
        return mine.filter { !shown.contains($0) }
    }

    // MARK: Alerts

    mutating func showed(_ sequences: some Sequence<Int64>) {
        shown.formUnion(sequences)
        // Forgets the oldest, in one go for many, so that it costs each little.
        guard shown.count > Self.maximumAlerts * 2 else { return }
        shown = Set(shown.sorted().suffix(Self.maximumAlerts))
    }

    mutating func claim(_ sequence: Int64, for id: Int, at now: Timestamp) -> Answer {
        let lease = leases[sequence]
        if shown.contains(sequence) {
            // Who shows it asks again from time to time, and is told to go on.
            return .settled(lease?.holder == id ? .granted : .shown)
        }
        if let lease, lease.holder != id, lease.until > now { return .settled(.held) }
        if lease == nil, leases.count >= Self.maximumAlerts {
            // Nobody who is at it loses it to one who claims without end.
            leases = leases.filter { $0.value.until > now }
            if leases.count >= Self.maximumAlerts { return .settled(.held) }
        }
        leases[sequence] = Lease(holder: id, until: now.advanced(milliseconds: Self.leaseMilliseconds))
        return .lent
    }

    /// The store's word on an alert that was lent to one of here.
    ///
    /// - Returns: whether that one still has it, if it was granted.
    mutating func take(_ word: AlertLease, of sequence: Int64, for id: Int) -> Bool {
        let isTheirs = leases[sequence]?.holder == id
        guard word != .granted else { return isTheirs }
        if isTheirs { leases[sequence] = nil }
        if word == .shown { showed([sequence]) }
        return false
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
