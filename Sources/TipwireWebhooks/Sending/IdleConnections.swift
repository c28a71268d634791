import NIOCore
import Synchronization

/// Connections that wait for the next request to the same target, by which the address is meant too: a name that has
/// moved gets a new connection.
///
/// Bounded in number here, and in time by `ExchangeHandler`, which closes a connection that idles for too long.
final class IdleConnections: Sendable {
    struct Connection: Sendable {
        let channel: any Channel
        let handler: NIOLoopBound<ExchangeHandler>
        let opened: NIODeadline
    }

    private struct State {
        var byTarget: [CheckedTarget: [Connection]] = [:]
        var count = 0
        var isShutDown = false
    }

    private let state = Mutex(State())
    private let limits: SendingLimits

    init(limits: SendingLimits) {
        self.limits = limits
    }

    var count: Int { state.withLock { $0.count } }

    /// The one that was used last, which is the least likely to have been closed at the other end.
    func take(_ target: CheckedTarget) -> Connection? {
        state.withLock { state in
            guard let connection = state.byTarget[target]?.popLast() else { return nil }
            if state.byTarget[target]?.isEmpty == true { state.byTarget[target] = nil }
            state.count -= 1
            return connection
        }
    }

    /// To be called once for each connection that may be put here.
    func watch(_ connection: Connection, for target: CheckedTarget) {
        connection.channel.closeFuture.whenComplete { _ in self.drop(connection, target) }
    }

    /// Keeps a connection; closes it if it is old or there are enough.
    func put(_ connection: Connection, for target: CheckedTarget) {
        let isYoung = NIODeadline.now() - connection.opened < limits.connectionAge
        let isKept = state.withLock { state in
            guard !state.isShutDown, isYoung, state.count < limits.idle else { return false }
            state.byTarget[target, default: []].append(connection)
            state.count += 1
            return true
        }
        guard isKept else { return connection.channel.closeNow().whenComplete { _ in } }
        // It may have been closed, and dropped, before it came here.
        if !connection.channel.isActive { drop(connection, target) }
    }

    private func drop(_ connection: Connection, _ target: CheckedTarget) {
        state.withLock { state in
            guard var connections = state.byTarget[target],
                let index = connections.firstIndex(where: { $0.channel === connection.channel })
            else { return }
            connections.remove(at: index)
            state.byTarget[target] = connections.isEmpty ? nil : connections
            state.count -= 1
        }
    }

    /// Closes all, and keeps none from now on.
    func shutdown() async {
        let connections = state.withLock { state in
            defer { state = State(isShutDown: true) }
            return state.byTarget.values.flatMap { $0 }
        }
        for connection in connections { try? await connection.channel.closeNow().get() }
    }
}
