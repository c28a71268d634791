import Synchronization

/// Refused streams by reason. The reasons are the program's own words, so their number is fixed.
final class RefusalCounts: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    func count(_ reason: String) { counts.withLock { $0[reason, default: 0] += 1 } }

    var reading: [(reason: String, count: Int)] {
        counts.withLock { $0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
