import Foundation
import Synchronization

/// How long the store waits for a lock on its file that someone else holds, such as an operator's `sqlite3` shell.
final class LockPatience: Sendable {
    /// In seconds.
    static let limit: Double = 5
    /// Between two tries, in seconds.
    private static let pause = 0.005

    private let isOver = Atomic(false)

    /// From here on nothing waits, and what waits gives up.
    func end() { isOver.store(true, ordering: .relaxed) }

    /// Waits a moment. False when it is enough.
    ///
    /// - Parameter tries: how often this was asked before for the same lock.
    func lasts(after tries: Int) -> Bool {
        guard Double(tries) * Self.pause < Self.limit, !isOver.load(ordering: .relaxed) else { return false }
        Thread.sleep(forTimeInterval: Self.pause)
        return true
    }
}
