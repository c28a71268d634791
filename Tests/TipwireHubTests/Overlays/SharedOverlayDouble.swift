import TipwireCore
import TipwireStore
import TipwireTestSupport

/// What nodes have in common of overlays, in memory.
final class SharedOverlayTable: Sendable {
    struct Copy: Hashable {
        let node: NodeID
        let number: Int
    }

    struct State: Sendable {
        var presences: [NodeID: [OverlayPlace: Timestamp]] = [:]
        var leases: [Alert: Copy] = [:]
        var shown: [Alert: Copy] = [:]
        var announcements: [(node: NodeID, announcement: OverlayAnnouncement)] = []
        /// The errands of each time.
        var errands: [AlertErrands] = []
    }

    let state = Watched(State())
}

/// One node's store: all of a real one, but for what overlays have in common.
final class SharedOverlayDouble: ForwardingStore, SharedOverlayStore {
    let real: SQLiteStore
    let node = NodeID.random()
    /// What the store's methods do first.
    let before = Watched<@Sendable () async throws -> Void>({})
    private let table: SharedOverlayTable

    init(_ real: SQLiteStore, _ table: SharedOverlayTable) {
        self.real = real
        self.table = table
    }

    /// Whoever asks it for something waits from here on for the gate to open.
    func gated() -> Gate {
        let gate = Gate()
        before.change { $0 = { try await gate.pass() } }
        return gate
    }

    private func change<T: Sendable>(_ body: @Sendable (inout SharedOverlayTable.State) -> T) async throws -> T {
        try await before.value()
        return table.state.change(body)
    }

    func keepPresences(_ changes: [OverlayPlace: Timestamp?]) async throws {
        try await change { state in
            for (place, since) in changes { state.presences[node, default: [:]][place] = since }
        }
    }

    func presencesElsewhere(page: Page.ID) async throws -> [OverlayPlace: Timestamp] {
        try await change { state in
            state.presences.filter { $0.key != node }.values.reduce(into: [:]) { found, places in
                found.merge(places.filter { $0.key.page == page }) { min($0, $1) }
            }
        }
    }

    func settle(_ errands: AlertErrands) async throws -> [Alert: AlertLease] {
        try await change { state in
            state.errands.append(errands)
            state.shown.merge(errands.shown.mapValues { .init(node: node, number: $0) }) { _, new in new }
            state.leases = state.leases.filter { $0.value.node != node || !errands.freed.contains($0.value.number) }
            return errands.claims.reduce(into: [:]) { answers, claim in
                let copy = SharedOverlayTable.Copy(node: node, number: claim.value)
                if let shown = state.shown[claim.key] {
                    return answers[claim.key] = shown == copy ? .granted : .shown
                }
                if state.leases[claim.key] == nil { state.leases[claim.key] = copy }
                answers[claim.key] = state.leases[claim.key] == copy ? .granted : .held
            }
        }
    }

    func announce(_ announcement: OverlayAnnouncement) async throws {
        try await change { state in
            if let sequence = announcement.reopens {
                let alert = Alert(page: announcement.page, sequence: sequence)
                state.shown[alert] = nil
                state.leases[alert] = nil
            }
            state.announcements.append((node, announcement))
        }
    }

    func announcements(after number: Int64?) async throws -> (list: [OverlayAnnouncement], through: Int64) {
        try await change { state in
            let new = number.map { state.announcements.dropFirst(Int($0)) } ?? []
            return (new.filter { $0.node != node }.map(\.announcement), Int64(state.announcements.count))
        }
    }
}
