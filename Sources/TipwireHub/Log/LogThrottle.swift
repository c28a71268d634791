import TipwireCore

/// What the operator is told of something that can come by the thousand: a line for the first, and then at most one in so
/// long, which says how many had none. A log has an end, and may be on the disk that is full.
public struct LogThrottle: Sendable {
    private let milliseconds: Int64
    private var lastLine: Timestamp?
    private var untold = 0

    public init(seconds: Int64) { milliseconds = seconds * 1_000 }

    /// One more has come.
    ///
    /// - Returns: nil if there is to be no line; else how many had none since the last.
    public mutating func admit(at now: Timestamp) -> Int? {
        // A clock that was set back begins anew.
        if let lastLine, now >= lastLine, now < lastLine.advanced(milliseconds: milliseconds) {
            untold += 1
            return nil
        }
        lastLine = now
        defer { untold = 0 }
        return untold
    }
}
