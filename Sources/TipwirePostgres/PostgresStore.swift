import Synchronization
import TipwireStore

/// The whole `Store` promise on a PostgreSQL database, which several processes may use at the same time.
///
/// Nothing that was read is taken for true later: another node may have changed it. The log belongs to whoever has
/// locked its one row, which every change of it does first; so commits are in the order of their sequences, and a
/// reader that has seen one has seen all before it. Everything else is locked behind that row.
///
/// One connection commits, one does all other writing, and `readers` others read committed snapshots beside them, each
/// on a thread of its own. A connection that broke is made anew for the next call; the call that met the break fails
/// with `StoreFailing`, for nobody knows what became of it.
public final class PostgresStore: Sendable {
    /// Connections for reading. Reads are short; more of them would only wait for the same few cores.
    static let readers = 4
    /// How long a server may leave a statement without an answer: a read, or one of a commit, of which none is long.
    private static let longestRead = Duration.seconds(20)
    /// The same of one that changes anything else, such as deleting a page with all its tips.
    private static let longestWrite = Duration.seconds(300)
    /// The same of a word to the other nodes, which is worth little when it is late.
    private static let longestBeat = Duration.seconds(5)

    private let reading: PinnedThreads<ConnectionSeat>
    private let writing: PinnedThreads<ConnectionSeat>
    private let logging: PinnedThreads<ConnectionSeat>
    private let telling: PinnedThreads<ConnectionSeat>
    private let showing: PinnedThreads<ConnectionSeat>
    private let watch: StallWatch
    /// What this process knows of the log; a database that says otherwise has lost its end.
    let memory: LogMemory
    /// This process among those that share the database.
    public let node = NodeID.random()
    /// What the others tell.
    let channel: NewsChannel

    /// - Parameter first: a connection on which `lock` is held.
    private init(source: ConnectionSource, memory: LogMemory, lock: UseLock, first: PostgresConnection) {
        self.memory = memory
        let channel = NewsChannel(source)
        self.channel = channel
        let readMarks = (0..<Self.readers).map { _ in StallWatch.Mark(limit: Self.longestRead) }
        let writeMark = StallWatch.Mark(limit: Self.longestWrite)
        let logMark = StallWatch.Mark(limit: Self.longestRead)
        let tellMark = StallWatch.Mark(limit: Self.longestBeat)
        let showMark = StallWatch.Mark(limit: Self.longestBeat)
        let watch = StallWatch(readMarks + [writeMark, logMark, tellMark, showMark])
        self.watch = watch
        let connect: @Sendable () throws -> PostgresConnection = {
            // A server that can't be reached would cost the end of this one its time once more.
            if watch.isHastened { throw StoreFailing.closed }
            let db = try source.connect()
            // Before anything else is read from it.
            try memory.compare(db)
            return db
        }
        let places = Mutex(readMarks)
        reading = PinnedThreads("postgres reader", count: Self.readers) {
            ConnectionSeat(mark: places.withLock { $0.removeLast() }, connect: connect)
        }
        writing = PinnedThreads("postgres writer", count: 1) {
            ConnectionSeat(mark: writeMark) {
                let db = try connect()
                channel.ignore(db.backendID, of: .changes)
                return db
            }
        }
        telling = PinnedThreads("postgres node", count: 1) { ConnectionSeat(mark: tellMark, connect: connect) }
        showing = PinnedThreads("postgres overlays", count: 1) {
            ConnectionSeat(mark: showMark) {
                let db = try connect()
                // What a database that crashes at this very moment may lose. And a node that stands still in the middle of it
                // holds up the others' overlays for no longer than it does their tips.
                try db.script("SET synchronous_commit = off")
                try db.shortenStandstill()
                channel.ignore(db.backendID, of: .overlays)
                return db
            }
        }
        channel.ignore(first.backendID, of: .log)
        let locked = Handover(first)
        logging = PinnedThreads("postgres log", count: 1) {
            ConnectionSeat(locked.take(), mark: logMark) {
                let db = try connect()
                try lock.take(db)
                try PostgresLogTables.prepare(db)
                channel.ignore(db.backendID, of: .log)
                return db
            }
        }
    }

    /// Throws `StoreUnusable` when `url` can't be read, or libpq isn't there. Connects to nothing.
    public static func check(_ url: String) throws { _ = try ConnectionSource(url) }

    /// Opens the database that `url` names, and brings its schema up to date. Several processes may do so at once.
    ///
    /// Throws `StoreUnusable` when the database can't be reached, is of a newer Tipwire, or can't keep what is
    /// promised.
    ///
    public static func open(_ url: String) async throws -> PostgresStore { try await open(url, as: .shared) }

    /// The same, and keeps servers out for as long as the store is open. Throws `StoreUnusable` when one is there.
    public static func openAlone(_ url: String) async throws -> PostgresStore { try await open(url, as: .alone) }

    private static func open(_ url: String, as lock: UseLock) async throws -> PostgresStore {
        try await PinnedThreads.once("postgres opening") { try openBlocking(url, as: lock) }
    }

    private static func openBlocking(_ url: String, as lock: UseLock) throws -> PostgresStore {
        let source = try ConnectionSource(url)
        let db = try source.connect()
        do {
            // Before the tables are touched, which may be in use.
            try lock.take(db)
            try Schema.migrate(db)
            // A database that has lost this row is noticed now, not by the first tip.
            let memory = LogMemory(try Transaction.write.run(on: db) { try LogMemory.State.read($0) })
            try PostgresLogTables.prepare(db)
            return PostgresStore(source: source, memory: memory, lock: lock, first: db)
        } catch let error as PostgresError {
            throw ConnectionSource.unusable(error.description)
        } catch let error as DamagedRow {
            throw ConnectionSource.unusable("it is damaged: \(error)")
        }
    }

    /// Lets nothing that is running take more than moments from here on: what waits for a server that doesn't answer fails.
    public func hasten() { watch.hasten() }

    /// Waits for what is running, and closes all connections. Every later call on the store throws.
    public func close() async throws {
        watch.hasten()
        await channel.close()
        await telling.close()
        await showing.close()
        await writing.close()
        await reading.close()
        // Last of all, for from then on the database is whoever's that comes.
        _ = logging.run { seat in seat.withOpenConnection { UseLock.release($0) } }
        await logging.close()
        watch.stop()
    }
}

// MARK: - Access

extension PostgresStore {
    /// Runs `body` on one committed snapshot.
    func read<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await run(.read, on: reading, body)
    }

    /// Runs `body` in one transaction, which is kept, synced to disk, when it returns, and undone when it throws. It is
    /// run again when it collides with another one.
    ///
    /// A database that is full, gone or failing is told as `StoreFull` and `StoreFailing`.
    func write<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await run(.write, on: writing, body)
    }

    /// A change that other nodes must know of: they are told with its commit.
    func write<T: Sendable>(
        telling subject: NewsChannel.Subject, _ body: @escaping @Sendable (PostgresConnection) throws -> T
    ) async throws -> T {
        let (value, count) = try await write { db in
            let value = try body(db)
            return (value, try subject.count(db))
        }
        channel.told(subject, count)
        return value
    }

    /// One transaction whose broken constraints are answers, not faults.
    ///
    /// - Parameter subject: what other nodes are told that it changes.
    func change<T: Sendable>(
        telling subject: NewsChannel.Subject? = nil,
        _ body: @escaping @Sendable (PostgresConnection) throws -> T
    ) async throws -> T {
        do {
            if let subject { return try await write(telling: subject, body) }
            return try await write(body)
        } catch let error as PostgresError {
            switch error.state {
            case "23505": throw DirectoryRefusal.taken
            case "23503": throw DirectoryRefusal.missingReference
            default: throw error
            }
        }
    }

    /// One transaction of those that change the log, which are made one after the other.
    func writeLog<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await run(.write, on: logging, body)
    }

    /// One transaction of those by which nodes know of each other: beside all others, so that a long one doesn't make this
    /// node pass for dead.
    func tell<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await run(.write, on: telling, body)
    }

    /// One transaction of those by which overlays on several nodes are one wall, which isn't synced to disk: beside all others,
    /// so that nobody's alert waits for what is long.
    func show<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await run(.write, on: showing, body)
    }

    /// Runs `body` where commits are made, and `answer` behind it.
    func onLog<T: Sendable>(
        _ body: @escaping @Sendable (ConnectionSeat) throws -> T,
        answer: @escaping @Sendable (Result<T, any Error>) -> Void
    ) {
        let isTaken = logging.run { seat in answer(Result { try body(seat) }) }
        if !isTaken { answer(.failure(StoreFailing.closed)) }
    }

    private func run<T: Sendable>(
        _ kind: Transaction, on threads: PinnedThreads<ConnectionSeat>,
        _ body: @escaping @Sendable (PostgresConnection) throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let isTaken = threads.run { seat in
                continuation.resume(with: Result { try kind.run(at: seat, body) })
            }
            if !isTaken { continuation.resume(throwing: StoreFailing.closed) }
        }
    }
}

/// Carries a connection from the thread that made it to the one that it belongs to from then on.
///
/// `@unchecked`: who made it gives it away, and one thread takes it, once, before anything else is done with it.
private final class Handover: @unchecked Sendable {
    private var connection: PostgresConnection?

    init(_ connection: PostgresConnection) { self.connection = connection }

    func take() -> PostgresConnection? {
        defer { connection = nil }
        return connection
    }
}
