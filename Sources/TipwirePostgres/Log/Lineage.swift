import Synchronization
import TipwireCore
import TipwireStore

/// Whether the database that is met again after an interruption is the one that was left.
///
/// When a database fails over to a replica that lacks the last commits, the log is shorter than what was answered and
/// delivered, and will grow in another way. Listeners who stand in the lost part must be told so (`reset`), never be given
/// another history as if it were theirs. So each batch leaves a random token beside its head, and who comes back looks for
/// the token of its last batch.
final class Lineage: Sendable {
    private struct Mark {
        let head: Int64
        let token: Int64
    }

    private let last = Mutex<Mark?>(nil)
    private let known = Mutex("")

    /// Of the log that this process began with, and the only one that it may go on with.
    var epoch: String { known.withLock { $0 } }

    func begin(with epoch: String) { known.withLock { $0 = epoch } }

    /// What is to be said where it has become another.
    static let explanation =
        "the database's log is another one than before, so what listeners have may be wrong; start anew"

    /// Leaves a mark in the transaction that moves the log to `head`.
    func mark(_ head: Int64, _ connection: PostgresConnection) throws -> Int64 {
        let token = Int64.random(in: .min ... .max)
        try connection.execute("INSERT INTO batches (head, token) VALUES ($1, $2)", head, token)
        return token
    }

    /// The transaction that left the mark is committed.
    func passed(_ head: Int64, _ token: Int64) { last.withLock { $0 = Mark(head: head, token: token) } }

    /// Looks for the last mark on a new connection; where it is gone, the log gets another epoch.
    func check(_ connection: PostgresConnection) throws {
        guard let mark = last.withLock({ $0 }) else { return }
        try connection.script("BEGIN")
        do {
            let log = try LogRow.lock(connection)
            let found = try connection.execute("SELECT token FROM batches WHERE head = $1", mark.head).first
            let isKnown = found.map { $0[0] as Int64 == mark.token } ?? (mark.head <= log.prunedThrough)
            if !isKnown { try connection.execute("UPDATE log SET epoch = $1", PublicID.epoch()) }
            try connection.script("COMMIT")
        } catch {
            try? connection.script("ROLLBACK")
            throw error
        }
        // It is another log now, of which this process has written nothing.
        last.withLock { $0 = nil }
    }
}
