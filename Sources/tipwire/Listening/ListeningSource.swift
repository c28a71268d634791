/// One way to listen, as `--via` names them: what it takes to hold one connection in one dialect.
protocol ListeningSource: Sendable {
    /// Holds one connection to its end.
    ///
    /// - Parameters:
    ///   - position: A cursor, after which to begin, or `now`. A source that lets the server remember passes it over.
    ///   - opened: Called once the server has agreed.
    ///   - show: Called for each message, in order and one at a time; nothing is read while it runs.
    /// - Returns: How the connection ended. What `show` throws ends it too, and is thrown; so is a `Failure` of the
    ///   source's own, when another attempt would have the same answer.
    func connect(
        after position: String, opened: @escaping @Sendable () -> Void,
        show: @escaping @Sendable (HeardMessage) async throws -> Void
    ) async throws -> ListeningEnding
}

/// What came, whatever dialect it came in.
struct HeardMessage: Sendable {
    enum Content: Sendable {
        /// How well the position could be met: `resumed`, `gap` or `reset`; nil from a server that keeps none.
        case beginning(status: String?)
        /// Another subscription than before has begun: what came between the two may be missing.
        case renewal
        case event(any HeardEvent)
        /// A type that this version has no words for.
        case unknown(type: String)
    }

    let content: Content
    /// Where the log is after it; nil when the message doesn't tell.
    let cursor: String?
    /// The message as it came.
    let json: String
}

/// Something that a line is printed for.
protocol HeardEvent: Sendable {
    /// The page that it names, or nil if messages of its dialect name none.
    var pageSlug: String? { get }
    /// Whether its line has amounts and the message doesn't name their currency.
    var needsCurrency: Bool { get }

    func line(on page: ListenedPage) -> String
}

extension HeardEvent {
    var needsCurrency: Bool { true }
}
