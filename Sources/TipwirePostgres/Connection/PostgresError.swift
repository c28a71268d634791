import TipwireStore

/// A refusal of the server, or a connection that broke.
struct PostgresError: Error, CustomStringConvertible {
    /// The SQLSTATE: "23505" for a broken unique constraint, "23503" for a foreign key.
    let state: String
    let message: String

    init(state: String, message: String) {
        self.state = state
        self.message = message.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// Somebody else holds it, for longer than was to be waited.
    static let lockNotAvailable = "55P03"

    /// The state of a connection that broke; the server had no chance to give one.
    static let connectionFailure = "08006"

    var description: String { "\(message) (PostgreSQL state \(state))" }

    /// Two transactions stood in each other's way, and this one was undone: the same again may succeed.
    var isCollision: Bool { state == "40001" || state == "40P01" }

    /// What this means to whoever asked; nil when it is a fault of this program.
    var fault: (any Error)? {
        if state == "53100" { return StoreFull(description) }
        switch state.prefix(2) {
        // The connection; refused on the way in; the server stops or has taken too long; nothing left of something;
        // files and faults of the server's own.
        case "08", "28", "57", "53", "58", "XX": return StoreFailing(description)
        default: break
        }
        switch state {
        // Can't be written: a replica. Someone else holds a lock for too long, or there were collisions again and again. The
        // tables, or the right to them, were taken away.
        case "25006", "25P03", "55P03", "40001", "40P01", "42501", "42P01": return StoreFailing(description)
        default: return nil
        }
    }
}
