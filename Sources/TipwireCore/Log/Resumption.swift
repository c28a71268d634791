/// What a reader that names a position is told, and where it starts.
///
/// A pure decision, made in one place for every dialect: never silence, and never a wrong history.
public struct Resumption: Hashable, Sendable {
    public enum Status: String, Sendable {
        /// Every event after the position follows.
        case resumed
        /// Retention has removed some of what was missed; what is kept follows.
        case gap
        /// The position means nothing here; only what happens from now on follows.
        case reset
    }

    public let status: Status
    /// The sequence just before the first event that follows.
    public let start: Int64

    /// - Parameters:
    ///   - position: what the client gave, unparsed.
    ///   - log: the log as it stands.
    public init(position: String, log: LogBounds) {
        guard let cursor = Cursor(position), cursor.epoch == log.epoch, cursor.sequence <= log.head else {
            self.init(status: .reset, start: log.head)
            return
        }
        if cursor.sequence < log.prunedThrough {
            self.init(status: .gap, start: log.prunedThrough)
        } else {
            self.init(status: .resumed, start: cursor.sequence)
        }
    }

    public init(status: Status, start: Int64) {
        self.status = status
        self.start = start
    }
}

/// Where a log begins and ends.
public struct LogBounds: Hashable, Sendable {
    public let epoch: String
    /// The last committed sequence; 0 for an empty log.
    public let head: Int64
    /// The last sequence that retention removed; 0 if none.
    public let prunedThrough: Int64

    public init(epoch: String, head: Int64, prunedThrough: Int64) {
        self.epoch = epoch
        self.head = head
        self.prunedThrough = prunedThrough
    }
}
