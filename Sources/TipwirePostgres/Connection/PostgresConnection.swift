/// A connection to a database. Every call blocks until the server has answered.
///
/// Belongs to one thread (`PinnedThreads`), like the rows that it answers with.
final class PostgresConnection {
    private let library: LibPQ
    private let handle: LibPQ.Connection
    /// Names of prepared statements by their texts. The program has some dozens of texts, and makes none of foreign
    /// words.
    private var prepared: [String: String] = [:]
    /// Where it says that it waits for the server; nil for one that nobody watches.
    var mark: StallWatch.Mark?

    /// Takes over `handle`, which is connected.
    init(_ library: LibPQ, _ handle: LibPQ.Connection) {
        self.library = library
        self.handle = handle
    }

    deinit { library.finish(handle) }

    /// A statement with `$1`, `$2`… for its parameters. It is prepared the first time, and found by its text from then
    /// on.
    @discardableResult
    func execute(_ sql: String, _ parameters: (any PostgresEncodable)?...) throws -> PostgresResult {
        try execute(sql, values: parameters.map { $0?.postgresValue ?? .null })
    }

    /// The same with a list of parameters.
    @discardableResult
    func execute(_ sql: String, arguments: [any PostgresEncodable]) throws -> PostgresResult {
        try execute(sql, values: arguments.map(\.postgresValue))
    }

    private func execute(_ sql: String, values: [PostgresValue]) throws -> PostgresResult {
        let parameters = PostgresParameters(values)
        let name = try prepared[sql] ?? prepare(sql, parameters.types)
        return try parameters.withPointers { count, addresses, lengths, forms in
            try result(waiting { library.executePrepared(handle, name, count, addresses, lengths, forms, 1) })
        }
    }

    private func prepare(_ sql: String, _ types: [UInt32]) throws -> String {
        let name = "s\(prepared.count)"
        _ = try result(waiting { library.prepare(handle, name, sql, CInt(types.count), types) })
        prepared[sql] = name
        return name
    }

    /// Several statements without parameters, one after the other until one fails.
    func script(_ sql: String) throws {
        _ = try result(waiting { library.execute(handle, sql) })
    }

    /// Ends a transaction. A server answers a COMMIT of one that has failed with a ROLLBACK, and calls that no error.
    func commit() throws {
        let outcome = waiting { library.execute(handle, "COMMIT") }
        let done = outcome.flatMap { library.commandStatus($0) }.map { String(cString: $0) }
        _ = try result(outcome)
        guard done == "COMMIT" else {
            throw PostgresError(state: "25P02", message: "a transaction went on after an error, and was undone")
        }
    }

    // MARK: What the server says of itself

    /// 150004 for 15.4.
    var serverVersion: Int { Int(library.serverVersion(handle)) }

    /// A setting that the server tells of without being asked, such as `server_encoding`.
    func setting(_ name: String) -> String {
        library.parameterStatus(handle, name).map { String(cString: $0) } ?? ""
    }

    var isBroken: Bool { library.status(handle) != LibPQ.connected }

    /// Whether the server has ended the connection while nothing was asked of it. Costs a system call or two, and no
    /// way to the server.
    func isBrokenByNow() -> Bool {
        // The first may read the server's last words, and only the second the end behind them.
        for _ in 0..<2 where library.consumeInput(handle) == 0 { return true }
        return isBroken
    }

    /// Of the server's process that serves this connection.
    var backendID: Int32 { library.backendID(handle) }

    // MARK: What others tell

    /// To be watched for something to read; the connection's own.
    var descriptor: CInt { library.socket(handle) }

    struct Notification {
        let payload: String
        /// Of the connection that told it.
        let backendID: Int32
    }

    /// What has come by NOTIFY since the last time, without waiting for more. Nil when the connection is broken.
    func takeNotifications() -> [Notification]? {
        guard library.consumeInput(handle) == 1, !isBroken else { return nil }
        var taken: [Notification] = []
        while let next = library.notifications(handle) {
            let told = next.assumingMemoryBound(to: LibPQ.Notification.self).pointee
            taken.append(Notification(payload: String(cString: told.payload), backendID: told.backendID))
            library.freeMemory(next)
        }
        return taken
    }

    private func waiting(_ call: () -> LibPQ.Outcome?) -> LibPQ.Outcome? {
        mark?.begin(library.socket(handle))
        defer { mark?.end() }
        return call()
    }

    private func result(_ outcome: LibPQ.Outcome?) throws -> PostgresResult {
        let status = library.resultStatus(outcome)
        guard let outcome, status == LibPQ.commandDone || status == LibPQ.rowsCame else {
            defer { library.clear(outcome) }
            throw error(of: outcome)
        }
        return PostgresResult(library, outcome)
    }

    private func error(of outcome: LibPQ.Outcome?) -> PostgresError {
        func field(_ code: CInt) -> String? { library.resultErrorField(outcome, code).map { String(cString: $0) } }
        let message =
            field(LibPQ.messageField)
            ?? library.errorMessage(handle).map { String(cString: $0) } ?? "the connection broke"
        return PostgresError(
            state: field(LibPQ.stateField) ?? PostgresError.connectionFailure, message: message)
    }
}
