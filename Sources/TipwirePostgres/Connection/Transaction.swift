import Foundation
import TipwireStore

/// The kinds of transactions. What a server or a database has set as its default holds for none of them.
enum Transaction: String {
    /// One snapshot for all statements.
    case read = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    /// Each statement sees what was committed when it began: also what others did while the one before waited for a
    /// lock.
    case write = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"

    /// How often one that collides with others is tried.
    private static let attempts = 5
    /// Longest wait before it is tried again, in seconds for each time that it was tried. Without it whoever was
    /// stopped takes up its first lock before the other, who waits for it, has woken, and they collide once more.
    private static let pause = 0.02

    /// Runs `body` in a transaction, which is kept when it returns, and undone when it throws.
    ///
    /// Throws what `body` throws, `StoreFull` and `StoreFailing`.
    ///
    /// - Parameter isKept: false when the answer needs nothing to be kept.
    func run<T>(
        at seat: ConnectionSeat, keepingIf isKept: (T) -> Bool = { _ in true }, _ body: (PostgresConnection) throws -> T
    ) throws -> T {
        var attempt = 1
        while true {
            let db = try seat.connection()
            do {
                return try run(on: db, keepingIf: isKept, body)
            } catch let error as PostgresError {
                if db.isBroken {
                    seat.drop()
                    throw StoreFailing(error.description)
                }
                guard error.isCollision, attempt < Self.attempts else { throw error.fault ?? error }
                Thread.sleep(forTimeInterval: .random(in: Self.pause / 2...Self.pause) * Double(attempt))
                attempt += 1
            } catch {
                if db.isBroken { seat.drop() }
                throw error
            }
        }
    }

    /// The same on a connection at hand, once.
    func run<T>(
        on db: PostgresConnection, keepingIf isKept: (T) -> Bool = { _ in true },
        _ body: (PostgresConnection) throws -> T
    ) throws -> T {
        try db.script(rawValue)
        do {
            let result = try body(db)
            if isKept(result) { try db.commit() } else { try db.script("ROLLBACK") }
            return result
        } catch {
            // Where this fails too, the connection is broken, and with it goes the transaction.
            try? db.script("ROLLBACK")
            throw error
        }
    }
}
