import Foundation
import Synchronization
import TipwireStore

/// What the processes on one database tell each other of its changes: at once by NOTIFY, and, since that may be missed, by a
/// count for each subject that whoever looks (`beat`) can compare.
///
/// A notification names a subject and how far it has come. It carries no data: the tables have that.
final class NewsChannel: Sendable {
    /// What a change is about: the columns of `changes`.
    enum Subject: String, CaseIterable {
        case directory
        case sessions
        case sockets
        case webhooks
        case overlays

        var change: StoreChanges {
            switch self {
            case .directory: .directory
            case .sessions: .sessions
            case .sockets: .sockets
            case .webhooks: .webhooks
            case .overlays: .overlays
            }
        }

        /// Counts one more change, and tells it when the transaction is kept. The last statement of a transaction: whoever
        /// else changes anything of this kind waits here for its end.
        func count(_ db: PostgresConnection) throws -> Int64 {
            try db.execute(
                """
                UPDATE changes SET \(rawValue) = \(rawValue) + 1
                RETURNING \(rawValue), \(NewsChannel.tell(rawValue, rawValue))
                """)[0][0]
        }

        /// How often it has been changed, as the transaction sees it.
        func read(_ db: PostgresConnection) throws -> Int64 {
            guard let row = try db.execute("SELECT \(rawValue) FROM changes").first else { throw NewsChannel.damaged }
            return row[0]
        }
    }

    /// Which of this process's own notifications are no news to it.
    enum Own: Hashable {
        case log
        case changes
        case overlays
    }

    static let damaged = DamagedRow(table: "changes", problem: "it is empty")

    private struct State {
        /// What is known of each subject; nothing before the first look.
        var known: [Subject: Int64] = [:]
        var own: [Own: Int32] = [:]
        /// The last change of each subject that this process made.
        var lastOwn: [Subject: Int64] = [:]
        /// How far this process has taken over what is changed, by others and itself, where anyone asks.
        var taken: [Subject: Int64] = [:]
        var isListening = false
    }

    private static let name = "tipwire"

    /// An expression that tells that a subject has come to a column's value.
    static func tell(_ subject: String, _ column: String) -> String {
        "pg_notify('\(name)', '\(subject) ' || \(column))"
    }

    private let source: ConnectionSource
    private let state = Mutex(State())
    private let stream: AsyncStream<StoreNews>
    private let continuation: AsyncStream<StoreNews>.Continuation
    private let end = WakePipe()
    private let listening = DispatchGroup()

    init(_ source: ConnectionSource) {
        self.source = source
        (stream, continuation) = AsyncStream.makeStream()
    }

    /// What comes from here on. For one reader.
    func listen() -> AsyncStream<StoreNews> {
        let isNew = state.withLock { state in
            defer { state.isListening = true }
            return !state.isListening
        }
        if isNew {
            listening.enter()
            let thread = Thread { [self] in
                while !end.isSignalled { listenOnce() }
                listening.leave()
            }
            thread.name = "postgres news"
            thread.start()
        }
        return stream
    }

    func close() async {
        end.signal()
        await withCheckedContinuation { continuation in
            listening.notify(queue: .global()) { continuation.resume() }
        }
        continuation.finish()
    }

    /// Notifications of this connection are this process's own.
    func ignore(_ backendID: Int32, of own: Own) { state.withLock { $0.own[own] = backendID } }

    /// A change of this process's own has been kept as the `count`th. It knows of it, unless others came in between.
    func told(_ subject: Subject, _ count: Int64) {
        state.withLock { state in
            if let known = state.known[subject], known == count - 1 { state.known[subject] = count }
            if let taken = state.taken[subject], taken == count - 1 { state.taken[subject] = count }
            state.lastOwn[subject] = max(state.lastOwn[subject] ?? 0, count)
        }
    }

    func lastOwn(_ subject: Subject) -> Int64? { state.withLock { $0.lastOwn[subject] } }

    /// What others have changed is taken over up to the `count`th; false if that was so already.
    func took(_ subject: Subject, _ count: Int64) -> Bool {
        state.withLock { state in
            defer { state.taken[subject] = max(state.taken[subject] ?? 0, count) }
            return state.taken[subject] ?? 0 < count
        }
    }

    /// All of a subject was read, one read after the other. Its count may be less than before: a database that lost its last commits
    /// counts some anew.
    func read(_ subject: Subject, at count: Int64) { state.withLock { $0.taken[subject] = count } }

    /// Whether that is so still, by the count as it is now. Who has read nothing has nothing that is out of date.
    func isCurrent(_ subject: Subject, at count: Int64) -> Bool {
        state.withLock { $0.taken[subject].map { $0 == count } ?? true }
    }

    func taken(_ subject: Subject) -> Int64 { state.withLock { $0.taken[subject] ?? 0 } }

    /// The counts as they are in the database. The first time everything is news: nobody knows what came before.
    func compare(_ counts: [Subject: Int64]) {
        let changes = state.withLock { state in
            counts.reduce(into: StoreChanges()) { changes, count in
                // Also when it is less: a database that lost its last commits counts some anew.
                guard state.known[count.key] != count.value else { return }
                state.known[count.key] = count.value
                changes.insert(count.key.change)
            }
        }
        if !changes.isEmpty { continuation.yield(StoreNews(changes: changes)) }
    }

    // MARK: Listening

    /// Until the connection breaks, or the channel is closed. What is told meanwhile is found by the counts.
    private func listenOnce() {
        guard let db = try? source.connect(), (try? db.script("LISTEN \(Self.name)")) != nil else {
            _ = end.wait(beside: -1, milliseconds: Self.pauseMilliseconds)
            return
        }
        while let notifications = db.takeNotifications() {
            take(notifications)
            if end.wait(beside: db.descriptor, milliseconds: -1) { return }
        }
        // A server that cuts everyone who comes isn't asked in circles.
        _ = end.wait(beside: -1, milliseconds: Self.pauseMilliseconds)
    }

    /// Until a broken connection is made anew.
    private static let pauseMilliseconds: CInt = 500

    private func take(_ notifications: [PostgresConnection.Notification]) {
        var news = StoreNews()
        for notification in notifications { add(notification, to: &news) }
        if news != StoreNews() { continuation.yield(news) }
    }

    private func add(_ notification: PostgresConnection.Notification, to news: inout StoreNews) {
        let words = notification.payload.split(separator: " ")
        guard words.count == 2, let count = Int64(words[1]) else { return }
        if words[0] == "log" {
            let isOwn = state.withLock { $0.own[.log] == notification.backendID }
            if !isOwn { news.head = max(news.head ?? 0, count) }
        } else if let subject = Subject(rawValue: String(words[0])) {
            let isNews = state.withLock { state in
                let isOwn = state.own.contains { $0.key != .log && $0.value == notification.backendID }
                guard !isOwn, state.known[subject] ?? 0 < count else { return false }
                state.known[subject] = count
                return true
            }
            if isNews { news.changes.insert(subject.change) }
        }
    }
}
