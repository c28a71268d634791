import Synchronization
import TipwireCore
import TipwireStore

/// What this process knows of the log, to be held against the database after every interruption.
///
/// A database may come back as a replica that never got the last batches, which were answered, told to listeners, and
/// are gone. Its log would go on with other events under the same sequences, and whoever stands at one of them would
/// miss those or have seen others. Such a log is another log: it gets another epoch, by which every cursor into the old
/// one is recognised.
final class LogMemory: Sendable {
    struct State {
        var epoch: String
        /// This process's last batch, or the last one that it found.
        var head: Int64
        /// The number that it was kept with; nil when the database has none for it.
        var token: Int64?
        /// The highest head that was ever read: what listeners may have been told.
        var seen: Int64

        static func read(_ db: PostgresConnection) throws -> State { try State(LogRow.lock(db), db) }

        fileprivate init(_ log: LogRow, _ db: PostgresConnection) throws {
            epoch = log.epoch
            head = log.head
            token = try Self.token(at: log.head, db)
            seen = log.head
        }

        fileprivate static func token(at head: Int64, _ db: PostgresConnection) throws -> Int64? {
            try db.execute("SELECT token FROM batches WHERE head = $1", head).first?[0]
        }

        /// Whether `log` goes on from this.
        fileprivate func isPart(of log: LogRow, _ db: PostgresConnection) throws -> Bool {
            guard log.head >= seen else { return false }
            // Without a token there is nothing to compare; removed by retention, it must have been there.
            guard let token, head > log.prunedThrough else { return true }
            return try Self.token(at: head, db) == token
        }
    }

    private let state: Mutex<State>
    /// Of the log that this process serves. What it has told listeners is of that one, so it goes on with no other before
    /// it has let go of them.
    private let epoch: Mutex<String>

    init(_ state: State) {
        epoch = Mutex(state.epoch)
        self.state = Mutex(state)
    }

    /// Throws `LogReplaced` when the log isn't the one that this process serves.
    func require(_ log: LogRow) throws {
        guard epoch.withLock({ $0 == log.epoch }) else { throw LogReplaced() }
    }

    /// Serves the log that is there from here on.
    func adopt(_ log: LogRow) { epoch.withLock { $0 = log.epoch } }

    /// This process has kept a batch.
    func keep(_ bounds: LogBounds, token: Int64) {
        state.withLock { state in
            // Another epoch: another process has found that the log is another one, and this batch is part of that.
            let seen = state.epoch == bounds.epoch ? max(state.seen, bounds.head) : bounds.head
            state = State(epoch: bounds.epoch, head: bounds.head, token: token, seen: seen)
        }
    }

    /// The log was seen as far as this.
    func see(_ bounds: LogBounds) {
        state.withLock { state in
            // A snapshot of the log before it got its present epoch says nothing of it.
            if state.epoch == bounds.epoch { state.seen = max(state.seen, bounds.head) }
        }
    }

    /// Holds what is known against a database that was connected to anew, and gives its log another epoch when it isn't
    /// the one that is known.
    func compare(_ db: PostgresConnection) throws {
        let found = try Transaction.write.run(on: db) { db in
            var log = try LogRow.lock(db)
            let known = state.withLock { $0 }
            // Of several processes that come back, the first changes the epoch, and the others find it changed.
            if try known.epoch == log.epoch && !known.isPart(of: log, db) {
                log.epoch = PublicID.epoch()
                try log.write(db)
                try Self.fit(db, into: log)
            }
            return try State(log, db)
        }
        state.withLock { state in
            // Meanwhile another thread of this process may have gone on from there.
            if state.epoch != found.epoch { state = found }
        }
    }

    /// Whoever was told of what is lost stands at the end of what is left.
    private static func fit(_ db: PostgresConnection, into log: LogRow) throws {
        for (table, column) in [
            ("webhook_level", "sequence"), ("webhooks", "position"), ("socket_level", "sequence"),
            ("nodes", "socket_level"), ("socket_subscriptions", "position"),
        ] {
            try db.execute("UPDATE \(table) SET \(column) = $1 WHERE \(column) > $1", log.head)
        }
        // Of an event that is no more nobody can be told, and its alert isn't that of the one that gets its number.
        for table in ["webhook_deliveries", "alert_leases"] {
            try db.execute("DELETE FROM \(table) WHERE sequence > $1", log.head)
        }
    }
}

extension LogMemory.State {
    fileprivate init(epoch: String, head: Int64, token: Int64?, seen: Int64) {
        self.epoch = epoch
        self.head = head
        self.token = token
        self.seen = seen
    }
}
