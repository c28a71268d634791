import TipwireStore

/// Who may use the database: any number of servers at the same time, or one program that puts it into another state.
///
/// Held by the connection of the commits, as a lock that ends with it, however that comes.
enum UseLock: Sendable {
    /// A server among others.
    case shared
    /// Without any.
    case alone

    static let number: Int64 = 0x74_6970_776c_6f67

    /// Throws `StoreUnusable` when that can't be had now.
    func take(_ db: PostgresConnection) throws {
        let function = self == .shared ? "pg_try_advisory_lock_shared" : "pg_try_advisory_lock"
        let isHeld: Bool = try db.execute("SELECT \(function)($1)", Self.number)[0][0]
        guard isHeld else { throw StoreUnusable(refusal) }
    }

    /// Gives it back. It would end with the connection, but some time after that was closed on this side: whoever stops a server
    /// and moves its database would be told that it is in use.
    static func release(_ db: PostgresConnection) { _ = try? db.execute("SELECT pg_advisory_unlock_all()") }

    private var refusal: String {
        switch self {
        case .shared: "the database is being written by 'tipwire migrate'; start the server when that is done"
        case .alone: "the database is in use by a server; stop it, or choose another database"
        }
    }
}
