import Synchronization

/// Refused streams by reason. The reasons are the program's own words, so their number is fixed.
///
/// Each is there from the start, with 0: a rate needs a first sample before the first refusal.
final class RefusalCounts: Sendable {
    static let reasons = [
        "access", "channel", "full", "handshake", "key_invalid", "key_missing", "kind", "method", "page", "path",
        "room", "scope", "screen", "screens", "session", "store", "throttled",
    ]

    private let counts = Mutex(Dictionary(uniqueKeysWithValues: reasons.map { ($0, 0) }))

    func count(_ reason: String) { counts.withLock { $0[reason, default: 0] += 1 } }

    var reading: [(reason: String, count: Int)] {
        counts.withLock { $0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
