import NIOConcurrencyHelpers

/// Where the listener is in the log. It moves on only when a message has been printed, so that one that was cut off on
/// its way to the terminal is asked for again.
final class ListeningPosition: Sendable {
    private let state: NIOLockedValueBox<(cursor: String, isFirst: Bool)>

    init(since: String) {
        state = NIOLockedValueBox((since, true))
    }

    var cursor: String { state.withLockedValue { $0.cursor } }
    /// No connection has told its position yet.
    var isFirst: Bool { state.withLockedValue { $0.isFirst } }

    func advance(to cursor: String?) {
        state.withLockedValue {
            $0.isFirst = false
            if let cursor { $0.cursor = cursor }
        }
    }

    /// Whether a position can travel: in a header or an address as it is, and back from a terminal.
    static func isUsable(_ cursor: String) -> Bool {
        !cursor.isEmpty && cursor.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
