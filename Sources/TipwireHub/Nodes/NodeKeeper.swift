import Logging
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// Keeps this process one of the nodes that share its store: tells that it is there, hears what the others change, and has
/// the parts of this process follow.
///
/// No node leads. Each reads the same log and the same tables, and what must be one node's alone is that of whoever the store
/// has given it to.
public final class NodeKeeper: Service {
    struct Pace: Sendable {
        /// Between two beats.
        var beat = Duration.milliseconds(NodeTimes.beat)
        /// Without a beat for so long this node doesn't pass for ready: what others change doesn't reach it.
        var patience = Duration.milliseconds(NodeTimes.silent)
        /// So long after the beginning of the last beat that let it send webhooks it doesn't any more.
        var grace = Duration.milliseconds(NodeTimes.sendingGrace)
    }

    private struct State {
        var lastBeat: ContinuousClock.Instant?
        /// When the sending of webhooks comes to an end unless a beat prolongs it; nil while it isn't this node's.
        var sendingEnd: ContinuousClock.Instant?
        var isFailing = false
        /// Of the log that all of this process serves.
        var epoch: String
    }

    private let store: any NodeStore
    private let position: LogPosition
    private let wakeUp: WakeUp
    private let parts: [Member]
    private let report: @Sendable () async -> NodeReport
    private let expect: (@Sendable (Int64) -> Void)?
    private let pace: Pace
    private let logger: Logger
    private let state: Mutex<State>
    /// A beat that gives the sending and the clock that takes it away don't overtake each other on the way to the parts.
    private let sendingTurn = Turn()

    /// A part, and its ear: one element stands for any number of changes since the last was taken.
    private struct Member: Sendable {
        let part: any SharedPart
        let changes: AsyncStream<Void>
        let change: AsyncStream<Void>.Continuation

        init(_ part: any SharedPart) {
            self.part = part
            (changes, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        }
    }

    /// - Parameters:
    ///   - parts: are told of a replaced log in this order.
    ///   - report: how this node stands.
    ///   - expect: is told how far the log goes, where events come by another way: they need no reading, if they do come.
    public convenience init(
        store: any NodeStore, position: LogPosition, wakeUp: WakeUp, parts: [any SharedPart],
        report: @escaping @Sendable () async -> NodeReport, expect: (@Sendable (Int64) -> Void)? = nil, logger: Logger
    ) {
        self.init(
            store: store, position: position, wakeUp: wakeUp, parts: parts, report: report,
            expect: expect, pace: Pace(), logger: logger)
    }

    init(
        store: any NodeStore, position: LogPosition, wakeUp: WakeUp, parts: [any SharedPart],
        report: @escaping @Sendable () async -> NodeReport, expect: (@Sendable (Int64) -> Void)?, pace: Pace,
        logger: Logger
    ) {
        self.pace = pace
        self.store = store
        self.position = position
        self.wakeUp = wakeUp
        self.parts = parts.map(Member.init)
        self.report = report
        self.expect = expect
        self.logger = logger
        state = Mutex(State(epoch: position.epoch))
    }

    /// Whether this node reaches its store, and so hears of the others.
    public var isConnected: Bool {
        state.withLock(\.lastBeat).map { $0.duration(to: .now) < pace.patience } ?? false
    }

    public func nodes() async throws -> [StoredNode] { try await store.nodes() }

    /// Tells that this node is there, before it listens to anyone: whoever connects to it may rely on what its store says of
    /// it.
    public func begin() async throws { try await beatOnce() }

    public func run() async throws {
        let news = store.listen()
        await withTaskGroup(of: Void.self) { group in
            for member in parts { group.addTask { await self.follow(member) } }
            group.addTask { for await news in news { self.take(news) } }
            group.addTask { await self.beat() }
            group.addTask { await self.watchSending() }
            group.addTask { await self.warnOfNamesakes() }
            try? await gracefulShutdown()
            group.cancelAll()
        }
        do {
            try await store.leave()
        } catch {
            logger.warning("the other nodes were not told of this one's end", metadata: ["error": "\(error)"])
        }
    }

    // MARK: What others do

    private func take(_ news: StoreNews) {
        if let head = news.head { see(head: head) }
        for member in parts where !member.part.subject.isDisjoint(with: news.changes) { member.change.yield() }
    }

    private func see(head: Int64) {
        let bounds = position.bounds
        guard head > bounds.head else { return }
        if let expect { return expect(head) }
        position.advance(to: LogBounds(epoch: bounds.epoch, head: head, prunedThrough: bounds.prunedThrough))
        wakeUp.signal()
    }

    private func follow(_ member: Member) async {
        for await _ in member.changes {
            do {
                try await member.part.refresh()
            } catch is CancellationError {
                return
            } catch {
                logger.warning(
                    "what other nodes changed can't be read; it is tried again", metadata: ["error": "\(error)"])
                guard (try? await Task.sleep(for: pace.beat)) != nil else { return }
                member.change.yield()
            }
        }
    }

    // MARK: Beats

    private func beatOnce() async throws {
        let began = ContinuousClock.now
        await take(try await store.beat(report()), begunAt: began)
    }

    private func beat() async {
        let clock = ContinuousClock()
        var next = clock.now
        while (try? await clock.sleep(until: next)) != nil {
            // From the beginning of the one before: a slow store must not make a living node pass for dead.
            next = clock.now + pace.beat
            do {
                try await beatOnce()
            } catch is CancellationError {
                return
            } catch {
                beatFailed(error)
            }
        }
    }

    /// Not at once: a node that was killed and started again would find itself, for `NodeTimes.silent`. Apart from the beats,
    /// which must not wait for those who read.
    private func warnOfNamesakes() async {
        guard (try? await Task.sleep(for: pace.beat * Self.namesakeBeats)) != nil else { return }
        let name = await report().name
        guard let nodes = try? await store.nodes() else { return }
        let isShared = nodes.contains { $0.id != store.node && $0.report.name == name && $0.silence < NodeTimes.silent }
        guard isShared else { return }
        logger.warning(
            "another node has this one's name too, and nobody can tell them apart in lists and metrics; give each its own with --node-name",
            metadata: ["name": "\(name)"])
    }

    private static let namesakeBeats = Int(NodeTimes.silent / NodeTimes.beat) + 2

    private func take(_ beat: NodeBeat, begunAt began: ContinuousClock.Instant) async {
        let (isReturn, hadFailed, isReplaced) = state.withLock { state in
            defer {
                state.lastBeat = .now
                state.isFailing = false
            }
            return (beat.isNew && state.lastBeat != nil, state.isFailing, beat.bounds.epoch != state.epoch)
        }
        if hadFailed { logger.notice("the store answers again") }
        if isReplaced {
            await followReplacedLog(beat.bounds)
        } else {
            see(head: beat.bounds.head)
        }
        if isReturn {
            logger.warning("the other nodes had taken this one for dead")
            for member in parts { await member.part.returned() }
        }
        await setSending(until: beat.isSender ? began + pace.grace : nil)
    }

    private func beatFailed(_ error: any Error) {
        let isFirst = state.withLock { state in
            defer { state.isFailing = true }
            return !state.isFailing
        }
        if isFirst {
            logger.error(
                "this node can't reach the store; it serves what is open, and takes nothing in",
                metadata: ["error": "\(error)"])
        }
    }

    // MARK: The sending

    private func setSending(until end: ContinuousClock.Instant?) async {
        await sendingTurn.take { await turnSending(end) }
    }

    private func turnSending(_ given: ContinuousClock.Instant?) async {
        // A beat may be answered when what it has given is over.
        let end = given.flatMap { $0 > .now ? $0 : nil }
        let isNews = state.withLock { state in
            defer { state.sendingEnd = end }
            return (state.sendingEnd == nil) != (end == nil)
        }
        guard isNews else { return }
        for member in parts { await member.part.setSending(end != nil) }
    }

    /// Apart from the beats: one that hangs, or fails late, must not prolong what it was to renew.
    private func watchSending() async {
        let clock = ContinuousClock()
        while (try? await clock.sleep(until: state.withLock(\.sendingEnd) ?? clock.now + pace.beat / 4)) != nil {
            await sendingTurn.take {
                let isOver = state.withLock { $0.sendingEnd.map { $0 <= .now } ?? false }
                if isOver { await turnSending(nil) }
            }
        }
    }

    /// Whoever listens is cut: they come back with cursors of the log before, and are told that those mean nothing here.
    private func followReplacedLog(_ bounds: LogBounds) async {
        logger.error(
            "the database came back without commits that were answered; the log goes on in another epoch, listeners are cut",
            metadata: ["epoch": "\(bounds.epoch)", "head": "\(bounds.head)", "head before": "\(position.bounds.head)"])
        position.replace(with: bounds)
        for member in parts { await member.part.logReplaced(bounds) }
        do {
            // Until here nothing was read from it, and nothing was kept in it.
            position.advance(to: try await store.adoptLog())
            state.withLock { $0.epoch = bounds.epoch }
            for member in parts { member.change.yield() }
            wakeUp.signal()
        } catch {
            logger.error("the new log can't be read; it is tried again", metadata: ["error": "\(error)"])
        }
    }
}
