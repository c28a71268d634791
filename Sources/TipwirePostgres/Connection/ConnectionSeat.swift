import TipwireStore

/// A thread's place at the database: a connection, which is made when it is first needed, and anew when it broke.
final class ConnectionSeat {
    private let connect: () throws -> PostgresConnection
    private var current: PostgresConnection?
    private var failure: (error: any Error, at: ContinuousClock.Instant)?

    /// For so long after a failed attempt everyone gets its error at once: a host that doesn't answer costs each
    /// attempt seconds, and those who wait behind it would wait for all before them.
    private static let pause = Duration.seconds(1)

    private let mark: StallWatch.Mark

    init(
        _ first: PostgresConnection? = nil, mark: StallWatch.Mark, connect: @escaping () throws -> PostgresConnection
    ) {
        current = first
        self.mark = mark
        self.connect = connect
        first?.mark = mark
    }

    /// A connection that works, as far as can be seen from here.
    func connection() throws -> PostgresConnection {
        if let current {
            if !current.isBrokenByNow() { return current }
            self.current = nil
        }
        if let failure, failure.at.duration(to: .now) < Self.pause { throw failure.error }
        do {
            let made = try connect()
            made.mark = mark
            failure = nil
            current = made
            return made
        } catch {
            let told = (error as? PostgresError)?.fault ?? StoreFailing("\(error)")
            failure = (told, .now)
            throw told
        }
    }

    func drop() { current = nil }

    /// Runs `body` if there is a connection that works, and makes none for it.
    func withOpenConnection(_ body: (PostgresConnection) -> Void) {
        if let current, !current.isBrokenByNow() { body(current) }
    }
}
