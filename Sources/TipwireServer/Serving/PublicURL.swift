import Synchronization

/// The address that links and feeds show. Known once the port is bound, when the setting doesn't give it.
final class PublicURL: Sendable {
    private let text: Mutex<String>

    init(setting: String?) { text = Mutex(setting ?? "") }

    var current: String { text.withLock { $0 } }

    /// Uses the bound address, unless the setting has spoken.
    func settle(on bound: String) {
        text.withLock { if $0.isEmpty { $0 = bound } }
    }
}
