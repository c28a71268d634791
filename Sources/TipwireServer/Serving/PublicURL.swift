import Synchronization

/// The address that links and feeds show. Known once the port is bound, when the setting doesn't give it.
final class PublicURL: Sendable {
    private struct State {
        var shown: String
        var own = ""
    }

    private let state: Mutex<State>

    init(setting: String?) { state = Mutex(State(shown: setting ?? "")) }

    var current: String { state.withLock(\.shown) }

    /// The bound address, whatever the setting says: it leads to this very server.
    var own: String { state.withLock(\.own) }

    /// Uses the bound address, unless the setting has spoken.
    func settle(on bound: String) {
        state.withLock { state in
            state.own = bound
            if state.shown.isEmpty { state.shown = bound }
        }
    }
}
