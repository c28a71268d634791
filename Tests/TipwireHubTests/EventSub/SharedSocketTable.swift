import Synchronization
import TipwireCore
import TipwireStore
import TipwireTestSupport

/// What several nodes share of socket subscriptions, in memory.
final class SharedSocketTable: Sendable {
    struct Row: Sendable {
        var socket: StoredSocket
        var node: NodeID?
        var isWanted = false
        var isKept = false
    }

    let rows = Watched<[String: Row]>([:])

    subscript(_ id: String) -> Row? { rows.value[id] }

    /// The node is dead: what it has is free.
    func free(_ node: NodeID) {
        rows.change { rows in for id in rows.keys where rows[id]!.node == node { rows[id]!.node = nil } }
    }
}

/// One node's store: all of a real one, but for socket subscriptions.
final class SharedSocketDouble: ForwardingStore, SharedSocketStore {
    struct Hooks: Sendable {
        /// Runs before the method of this name; what it throws is the store's failure.
        var before: (@Sendable (String) async throws -> Void)?
        /// Runs between the method of this name and its answer.
        var after: (@Sendable (String) async throws -> Void)?
    }

    let real: SQLiteStore
    let node = NodeID.random()
    let positions = Watched<[SocketPositions]>([])
    private let table: SharedSocketTable
    private let hooks = Mutex(Hooks())

    init(_ real: SQLiteStore, _ table: SharedSocketTable) {
        self.real = real
        self.table = table
    }

    func hook(_ change: @Sendable (inout Hooks) -> Void) { hooks.withLock { change(&$0) } }

    private func change<T: Sendable>(
        _ name: String, _ body: @Sendable (inout [String: SharedSocketTable.Row]) -> T
    ) async throws -> T {
        try await hooks.withLock { $0.before }?(name)
        let value = table.rows.change(body)
        try await hooks.withLock { $0.after }?(name)
        return value
    }

    // MARK: SocketStore

    func socketSubscriptions() async throws -> [StoredSocket] { try await sharedSockets().map(\.socket) }

    func createSocketSubscription(_ socket: StoredSocket) async throws {
        try await change("create") { $0[socket.subscription.id] = .init(socket: socket) }
    }

    func deleteSocketSubscriptions(_ ids: [String]) async throws {
        try await change("delete") { rows in for id in ids { rows[id] = nil } }
    }

    func recordSocketPositions(_ positions: SocketPositions) async throws {
        self.positions.change { $0.append(positions) }
        try await change("record") { [node] rows in
            for (id, position) in positions.own where rows[id]?.node == node {
                rows[id]!.socket = StoredSocket(subscription: rows[id]!.socket.subscription, position: position)
            }
        }
    }

    // MARK: SharedSocketStore

    func sharedSockets() async throws -> [SharedSocket] {
        try await change("read") { rows in
            rows.values.map { SharedSocket($0.socket, node: $0.node, isWanted: $0.isWanted) }
        }
    }

    func reopenSocketWindows() async throws {}

    func claimSocket(_ id: String, asked: Int64?) async throws -> SharedClaim {
        try await change("claim") { [node] rows in
            guard let row = rows[id] else { return .unknown }
            guard let other = row.node, other != node else {
                rows[id]!.node = node
                rows[id]!.isWanted = false
                rows[id]!.isKept = false
                return .granted(row.socket)
            }
            if asked != nil { return row.isKept ? .occupied : .asked(at: 1) }
            rows[id]!.isWanted = true
            rows[id]!.isKept = false
            return .asked(at: 1)
        }
    }

    func releaseSockets(_ positions: [String: Int64]) async throws {
        try await change("release") { [node] rows in
            for (id, position) in positions where rows[id]?.node == node {
                rows[id] = .init(
                    socket: StoredSocket(subscription: rows[id]!.socket.subscription, position: position))
            }
        }
    }

    func keepSockets(_ ids: Set<String>) async throws {
        try await change("keep") { [node] rows in
            for id in ids where rows[id]?.node == node {
                rows[id]!.isKept = true
                rows[id]!.isWanted = false
            }
        }
    }

    func holdSockets(_ ids: Set<String>) async throws -> Set<String> {
        try await change("hold") { [node] rows in
            let held = ids.filter { rows[$0].map { $0.node == nil || $0.node == node } ?? false }
            for id in held { rows[id]!.node = node }
            return held
        }
    }

    func expireSockets(window: Int64) async throws -> [String] { try await change("expire") { _ in [] } }
}
