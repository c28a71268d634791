import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// Hands what this node commits to the other nodes, and what they commit to the listeners of this one, by NATS.
///
/// It stands between the intake and those who read the log: the intake signals `local`, and `shared`, which the relay and the
/// webhooks listen to, hears this node's events and those of the others, in the log's order. So a tip costs the database one
/// write and no reads, however many nodes there are.
///
/// Like every wake-up it carries news, never truth. What is lost, late, doubled or out of its place makes a hole that its
/// readers see, and the log fills it.
public final class EventExchange: Service {
    /// Events that a node may be behind before what it hears isn't believed: it looks at the log each second at the least,
    /// in which no database takes so many.
    static let furthest: Int64 = 100_000
    /// What an event of this node is taken for while it waits; how many bytes it has, the sending finds out.
    private static let usualBytes = 512
    /// Between two looks at the connections and at the log's epoch.
    private static let interval = Duration.seconds(1)

    private struct Order {
        var epoch: String
        var sequencer: Sequencer
    }

    public let metrics = ExchangeMetrics()
    private let node: NodeID
    private let position: LogPosition
    private let local: WakeUp.Listener
    private let shared: WakeUp
    private let limits: Sequencer.Limits
    private let link: ExchangeLink
    /// Whatever `shared` is told of events is told under its lock, so that it is told in order.
    private let order: Mutex<Order>
    /// One element stands for any number of deadlines that have come to be.
    private let deadlines = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    /// Throws `StoreUnusable` when the library isn't there.
    ///
    /// - Parameters:
    ///   - local: what the intake signals.
    ///   - shared: what those who read the log listen to.
    public convenience init(
        at address: NATSAddress, node: NodeID, position: LogPosition, local: WakeUp, shared: WakeUp, logger: Logger
    ) throws {
        try self.init(
            at: address, node: node, position: position, local: local, shared: shared, limits: Sequencer.Limits(),
            logger: logger)
    }

    init(
        at address: NATSAddress, node: NodeID, position: LogPosition, local: WakeUp, shared: WakeUp,
        limits: Sequencer.Limits, logger: Logger
    ) throws {
        self.node = node
        self.position = position
        self.local = local.listen()
        self.shared = shared
        self.limits = limits
        link = ExchangeLink(try LibNATS.load(), to: address, node: node.text, metrics: metrics, logger: logger)
        order = Mutex(
            Order(epoch: position.epoch, sequencer: Sequencer(after: position.bounds.head, limits: limits)))
    }

    /// Whether it works. While it doesn't, other wake-ups must tell of what others commit.
    public var isConnected: Bool { link.isConnected }

    /// The log goes as far as `head`, as the database tells: events that aren't here in a moment are lost, and are read.
    ///
    /// A database that tells of each commit so costs no reads, and is still the one to tell of a node that NATS doesn't reach.
    public func expect(_ head: Int64) {
        give { sequencer, now in
            sequencer.expect(head, at: now)
            return Sequencer.Release()
        }
    }

    public func run() async throws {
        // The start of a server may have committed something by itself, of which nobody is told.
        order.withLock { $0.sequencer = Sequencer(after: position.bounds.head, limits: limits) }
        link.start(
            NATSEars(
                message: { [weak self] in self?.receive($0) }, changed: { [weak self] in self?.look() },
                overrun: { [weak self] in self?.overrun() }))
        tend()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.meetDeadlines() }
            group.addTask {
                while (try? await Task.sleep(for: Self.interval)) != nil { self.tend() }
            }
            group.addTask {
                try? await gracefulShutdown()
                self.local.finish()
            }
            await passOn()
            group.cancelAll()
        }
        // What was committed last, and what waited for its place.
        pass(local.takeAll())
        give { sequencer, _ in
            var release = Sequencer.Release()
            sequencer.flush(into: &release)
            return release
        }
        await link.close()
    }
}

// MARK: - This node's events

extension EventExchange {
    /// Until `local` is finished.
    private func passOn() async {
        for await _ in local.signals { pass(local.takeAll()) }
    }

    private func pass(_ news: WakeUp.News) {
        let epoch = position.epoch
        guard order.withLock({ $0.epoch }) == epoch else {
            // Of which of two logs these are is not known. The one that there is now is read.
            begin(epoch)
            return shared.signal()
        }
        if !news.events.isEmpty {
            give { sequencer, now in
                let late = sequencer.late
                var release = sequencer.offer(
                    news.events, committedAt: news.oldestCommit, bytes: news.events.count * Self.usualBytes, at: now)
                // Nobody tells of what this node commits but this: what was given up too early must not be silence.
                if sequencer.late > late { release.mustRead = true }
                return release
            }
            link.send(news.events, epoch: epoch)
        }
        // Nothing came of what was awaited.
        if news.events.isEmpty, news.isWhole { shared.nudge() }
        // Some didn't fit, or whoever signalled had none.
        if !news.isWhole { shared.signal(committedAt: news.oldestCommit) }
    }
}

// MARK: - Events of others

extension EventExchange {
    /// On a thread of the library's, one message at a time.
    private func receive(_ message: UnsafeRawBufferPointer) {
        do {
            var bytes = ByteBuffer(bytes: message)
            let origin = try EventMessage.readOrigin(of: &bytes)
            if origin.node == node.text { return }
            let epoch = position.epoch
            guard origin.epoch == epoch else { throw EventMessage.Unreadable("it is of another log") }
            let events = try EventMessage.readEvents(of: &bytes)
            guard let last = events.last else { return }
            guard last.sequence <= position.bounds.head + Self.furthest else {
                throw EventMessage.Unreadable("it is of no event that there can be")
            }
            metrics.messagesReceived.add(1)
            metrics.eventsReceived.add(events.count)
            if order.withLock({ $0.epoch }) != epoch { begin(epoch) }
            give { sequencer, now in sequencer.offer(events, bytes: message.count, at: now) }
        } catch {
            metrics.unreadable.add(1)
        }
    }

    private func overrun() {
        metrics.overruns.add(1)
        shared.signal()
    }
}

// MARK: - Order

extension EventExchange {
    /// Changes the order, and tells `shared` what may be told.
    private func give(_ change: (inout Sequencer, ContinuousClock.Instant) -> Sequencer.Release) {
        let hasDeadline = order.withLock { order in
            var release = change(&order.sequencer, .now)
            // Nobody will fill a hole.
            if !isConnected { order.sequencer.flush(into: &release) }
            tell(release, of: order.epoch)
            return order.sequencer.deadline != nil
        }
        if hasDeadline { deadlines.continuation.yield() }
    }

    private func tell(_ release: Sequencer.Release, of epoch: String) {
        metrics.holes.add(release.holes)
        // Without a hole the log is known to go so far; whoever connects after an event was told begins behind it. Where there
        // is a hole the log is read, which tells more, and tells it truly.
        if release.holes == 0, let last = release.events.last {
            position.advance(to: LogBounds(epoch: epoch, head: last.sequence, prunedThrough: 0))
        }
        if !release.events.isEmpty { shared.signal(release.events, committedAt: release.committedAt) }
        if release.mustRead { shared.signal() }
    }

    private func meetDeadlines() async {
        for await _ in deadlines.stream {
            while let deadline = order.withLock({ $0.sequencer.deadline }) {
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
                give { sequencer, now in sequencer.expire(at: now) }
            }
        }
    }

    /// Begins anew, with another log.
    private func begin(_ epoch: String) {
        order.withLock { order in
            guard order.epoch != epoch else { return }
            order = Order(epoch: epoch, sequencer: Sequencer(after: position.bounds.head, limits: limits))
        }
        tend()
    }
}

// MARK: - Connections

extension EventExchange {
    private func tend() {
        link.tend(epoch: position.epoch) { [weak self] in self?.look() }
    }

    /// What came while NATS was away, and what was on its way when it went, is in the log.
    private func look() {
        guard link.look() else { return }
        give { _, _ in Sequencer.Release() }
        shared.signal()
    }
}
