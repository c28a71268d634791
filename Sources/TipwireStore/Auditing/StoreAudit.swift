import TipwireCore

/// What a look through a whole store found.
public struct StoreAudit: Sendable {
    /// Each a line for the operator; none in a sound database.
    public internal(set) var problems: [String] = []
    public internal(set) var pages = 0
    public internal(set) var goals = 0
    public internal(set) var events = 0
    /// Of the last event; nil for an empty log.
    public internal(set) var lastCommit: Timestamp?
}
