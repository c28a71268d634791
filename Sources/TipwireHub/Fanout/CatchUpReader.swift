import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// Reads the log for listeners that are behind, a bounded stretch at a time, a few at once.
///
/// After a restart every listener comes back with a cursor at the same moment. They queue here, one request each, so that
/// neither the store's readers nor memory are taken by storm; and those who follow the same pages from the same position
/// share one read and its bytes.
public final class CatchUpReader: Service {
    /// Most entries of one stretch; with the limit on an event's size, at most a few MiB.
    static let stretchEvents = 256
    /// Reads under way at a time.
    static let workers = 3

    struct Answer: Sendable {
        let entries: [ByteBuffer]
        let through: Int64
        let bounds: LogBounds
        /// It ends where its limit was, not where the log did.
        let isWhole: Bool
    }

    /// One listener's request. Whoever leaves takes it back, so that nobody waits behind the departed.
    final class Ticket: Sendable {
        private let state = Atomic<Bool>(true)
        var isWanted: Bool { state.load(ordering: .relaxed) }
        func cancel() { state.store(false, ordering: .relaxed) }
    }

    private struct Request: Sendable {
        let after: Int64
        let key: SubscriberGroup.Key
        let ticket: Ticket
        let done: @Sendable (Answer?) -> Void
    }

    private let store: any LogStore
    private let directory: Directory
    private let encoder: EventEncoder
    private let logger: Logger
    private let metrics: HubMetrics
    private let stretches: StretchCache
    private let isStopping = Atomic<Bool>(false)
    /// Unbounded by itself; bounded by its writers: a listener has at most one request in it, and a departed one's is
    /// passed over at once.
    private let requests: AsyncStream<Request>
    private let continuation: AsyncStream<Request>.Continuation

    /// - Parameter sharing: how long a stretch that ends with the log is given to others who stand where it begins. What it
    ///   lacks by then they read next, so a little of it is never wrong; much would make them walk in small steps.
    public init(
        store: any LogStore, directory: Directory, encoder: EventEncoder, metrics: HubMetrics, logger: Logger,
        sharing: Duration = .seconds(1)
    ) {
        self.store = store
        self.metrics = metrics
        stretches = StretchCache(sharing: sharing)
        self.directory = directory
        self.encoder = encoder
        self.logger = logger
        (requests, continuation) = AsyncStream.makeStream()
    }

    /// - Parameter done: called on any thread, perhaps at once, with nil when the log could not be read.
    func read(
        after sequence: Int64, key: SubscriberGroup.Key, done: @escaping @Sendable (Answer?) -> Void
    ) -> Ticket {
        let ticket = Ticket()
        // A crowd that comes back to one place is served by the first one's read, without a task for each.
        if let known = stretches[self.key(key, after: sequence)] {
            done(known)
            return ticket
        }
        continuation.yield(Request(after: sequence, key: key, ticket: ticket, done: done))
        return ticket
    }

    /// What a listener has missed up to `through`, if it has missed so little that nothing has to be read.
    func recall(
        _ recent: RecentEvents, after sequence: Int64, through: Int64, bounds: LogBounds, key: SubscriberGroup.Key
    ) -> Answer? {
        // What retention has removed nobody is given any more, and whoever asks is told so by a read.
        guard recent.epoch == bounds.epoch, sequence >= bounds.prunedThrough, sequence <= through,
            let missed = directory.look({ recent.missed(after: sequence, by: key.audience, in: $0) })
        else { return nil }
        return Answer(
            entries: missed.compactMap { $0.bytes(in: key.dialect) }, through: through, bounds: bounds, isWhole: false)
    }

    public func run() async throws {
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                var running = 0
                for await request in requests {
                    // At the end what still waits is let go: those listeners are being closed.
                    guard request.ticket.isWanted, !isStopping.load(ordering: .relaxed) else { continue }
                    if running == Self.workers { await group.next() } else { running += 1 }
                    group.addTask { await self.serve(request) }
                }
            }
        } onGracefulShutdown: {
            self.isStopping.store(true, ordering: .relaxed)
            self.continuation.finish()
        }
    }

    private func serve(_ request: Request) async {
        guard request.ticket.isWanted else { return }
        do {
            request.done(try await read(request))
        } catch {
            logger.error("the log can't be read for a listener that is behind", metadata: ["error": "\(error)"])
            request.done(nil)
        }
    }

    /// Reads again when the audience has grown meanwhile: a page that was made, and tipped to, during the read would
    /// otherwise be missing from a stretch that says it is complete.
    private func read(_ request: Request) async throws -> Answer {
        var before = key(request.key, after: request.after)
        while true {
            let answer = try await stretch(before)
            let now = key(request.key, after: request.after)
            if now.pages.isSubset(of: before.pages) { return answer }
            before = now
        }
    }

    private func key(_ group: SubscriberGroup.Key, after sequence: Int64) -> StretchCache.Key {
        directory.look { view in
            StretchCache.Key(
                epoch: encoder.epoch, dialect: group.dialect, pages: group.audience.pages(in: view), after: sequence,
                pagesVersion: view.pagesVersion)
        }
    }

    private func stretch(_ key: StretchCache.Key) async throws -> Answer {
        if let known = stretches[key] { return known }
        metrics.catchUpReads.add(1)
        let slice = try await store.events(after: key.after, pages: .some(key.pages), limit: Self.stretchEvents)
        // Another node may have made a page that this key lacks, and taken a tip to it.
        try await directory.refresh(to: slice.directoryVersion)
        let entries = try await encoder.encode(slice.events).compactMap { $0.bytes(in: key.dialect) }
        let answer = Answer(
            entries: entries, through: slice.through, bounds: slice.bounds,
            isWhole: slice.events.count == Self.stretchEvents)
        stretches.keep(answer, for: key)
        return answer
    }
}

/// The stretches that were read last, for the many who resume from one position.
///
/// A stretch never goes wrong: the log below its end doesn't change but by retention and the deletion of a page, and a
/// deleted page makes another key. One that ends with the log goes stale, as the log goes on.
private final class StretchCache: Sendable {
    /// Bytes of the stretches kept.
    static let maximumBytes = 16 * 1024 * 1024
    /// Their number, which bounds what empty ones cost.
    static let maximumStretches = 256

    struct Key: Hashable, Sendable {
        let epoch: String
        let dialect: Dialect
        let pages: Set<Page.ID>
        let after: Int64
        /// The pages as the bytes show them, their titles for one.
        let pagesVersion: Int
    }

    private struct Kept {
        let answer: CatchUpReader.Answer
        let since: ContinuousClock.Instant
    }

    private struct State {
        var answers: [Key: Kept] = [:]
        /// Oldest first.
        var order: [Key] = []
        var bytes = 0
    }

    private let state = Mutex(State())
    private let sharing: Duration

    init(sharing: Duration) { self.sharing = sharing }

    subscript(key: Key) -> CatchUpReader.Answer? {
        guard let kept = state.withLock({ $0.answers[key] }) else { return nil }
        return kept.answer.isWhole || kept.since.duration(to: .now) < sharing ? kept.answer : nil
    }

    func keep(_ answer: CatchUpReader.Answer, for key: Key) {
        state.withLock { state in
            if let old = state.answers.updateValue(Kept(answer: answer, since: .now), forKey: key) {
                state.bytes -= Self.size(old.answer)
            } else {
                state.order.append(key)
            }
            state.bytes += Self.size(answer)
            while state.bytes > Self.maximumBytes || state.order.count > Self.maximumStretches {
                guard let removed = state.answers.removeValue(forKey: state.order.removeFirst()) else { break }
                state.bytes -= Self.size(removed.answer)
            }
        }
    }

    private static func size(_ answer: CatchUpReader.Answer) -> Int {
        answer.entries.reduce(256) { $0 + $1.readableBytes }
    }
}
