import NIOCore
import Synchronization
import TipwireCore
import TipwireSockets

/// Every listener of this process: one shard for each event loop, one hop per batch to each.
public final class Fanout: Sendable, AccessEnforcing {
    public struct Settings: Sendable {
        public let idleSeconds: Int
        public let probeSeconds: Int
        public let maxLagBytes: Int
        public let maxLagSeconds: Int
        /// Of server-sent events: the time between two comments, and the longest life of a stream, 0 for no end.
        public let keepaliveSeconds: Int
        public let maxStreamSeconds: Int
        /// The last events that each loop keeps at hand for those who have missed no more.
        var recentEvents = RecentEvents.most

        public init(
            idleSeconds: Int, probeSeconds: Int, maxLagBytes: Int, maxLagSeconds: Int, keepaliveSeconds: Int,
            maxStreamSeconds: Int
        ) {
            self.idleSeconds = idleSeconds
            self.probeSeconds = probeSeconds
            self.maxLagBytes = maxLagBytes
            self.maxLagSeconds = maxLagSeconds
            self.keepaliveSeconds = keepaliveSeconds
            self.maxStreamSeconds = maxStreamSeconds
        }
    }

    /// Where the fan-out begins: events after this reach the shards.
    let start: Int64
    private let shards: [(eventLoop: any EventLoop, shard: NIOLoopBoundBox<Shard>)]
    private let shardIndex: [ObjectIdentifier: Int]
    private let ticks: [RepeatedTask]

    /// - Parameters:
    ///   - connectionsAfter: the number before the first connection's.
    ///   - makeSender: makes what each loop sends a batch by; called on the loop.
    public init(
        eventLoops: [any EventLoop], settings: Settings, log: LogPosition, reader: CatchUpReader, clock: WallClock,
        connectionsAfter: Int64 = 0,
        makeSender: @escaping @Sendable () -> any SocketSender = { CallSender() }
    ) {
        start = log.bounds.head
        let limits = Shard.Settings(
            idleSeconds: UInt32(settings.idleSeconds), probeSeconds: UInt32(settings.probeSeconds),
            keepaliveSeconds: UInt32(settings.keepaliveSeconds), maxStreamSeconds: UInt32(settings.maxStreamSeconds),
            delivery: Delivery.Limits(
                lagBytes: settings.maxLagBytes, stallSeconds: UInt32(settings.maxLagSeconds)),
            recentEvents: settings.recentEvents)
        let count = eventLoops.count
        shards = eventLoops.enumerated().map { index, eventLoop in
            let shard = Shard(
                eventLoop: eventLoop, firstID: connectionsAfter + Int64(index) + 1, idStride: Int64(count),
                settings: limits, log: log, reader: reader, clock: clock, makeSender: makeSender)
            return (eventLoop, NIOLoopBoundBox.makeBoxSendingValue(shard, as: Shard.self, eventLoop: eventLoop))
        }
        shardIndex = Dictionary(
            uniqueKeysWithValues: eventLoops.enumerated().map { (ObjectIdentifier($1), $0) })
        ticks = shards.map { eventLoop, shard in
            eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in shard.value.tick() }
        }
    }

    /// The shard of the event loop that the caller runs on.
    public func shard(on eventLoop: any EventLoop) -> Shard {
        guard let index = shardIndex[ObjectIdentifier(eventLoop)] else {
            preconditionFailure("a connection on an event loop that the fan-out doesn't know")
        }
        return shards[index].shard.value
    }

    /// Hands a batch to every shard.
    ///
    /// - Parameters:
    ///   - committedAt: when the oldest of them was committed, where that is known.
    ///   - done: called when all have offered it to their listeners, on the loop of the last.
    func deliver(
        _ events: [EncodedEvent], through: Int64, committedAt: ContinuousClock.Instant? = nil,
        done: @escaping @Sendable () -> Void
    ) {
        let left = Countdown(from: shards.count)
        for (eventLoop, shard) in shards {
            eventLoop.execute {
                shard.value.deliver(events, through: through, committedAt: committedAt)
                if left.isLast() { done() }
            }
        }
    }

    /// Calls back on an event loop, when some time has passed.
    func call(in time: Duration, _ body: @escaping @Sendable () -> Void) {
        shards[0].eventLoop.scheduleTask(in: TimeAmount(time), body)
    }

    /// Closes every stream that depended on what is lost, before it returns.
    public func enforce(_ loss: AccessLoss) async {
        switch loss {
        case .keyRevoked(let id):
            await end(.keyRevoked) { $0.subscription.principal.credential == .key(id: id) }
        case .sessionsEnded(let account):
            await end(.sessionEnded) {
                guard case .session = $0.subscription.principal.credential else { return false }
                return $0.subscription.principal.account == account
            }
        case .sessionEnded(let hash):
            await end(.sessionEnded) { $0.subscription.principal.credential == .session(hash) }
        case .pageDeleted(let page):
            await end(.accessLost) { $0.subscription.audience == .page(page) }
        case .memberRemoved(let account, let page):
            await end(.accessLost) {
                $0.subscription.audience == .page(page) && $0.subscription.principal.account == account
            }
        }
    }

    private func end(_ reason: EndReason, where condition: @escaping @Sendable (Subscriber) -> Bool) async {
        await onEach { _ = $0.end(reason, where: condition) }
    }

    /// The log is another one, which ends at `head`: whoever listens is cut, for what they stand at is of the one before.
    func restart(after head: Int64) async {
        await onEach { $0.restart(after: head) }
    }

    /// The browser sessions that listeners rest on.
    func sessions() async -> Set<SecretHash> {
        await onEach(\.sessions).reduce(into: []) { $0.formUnion($1) }
    }

    /// Ends every stream.
    func cutAll(because reason: String) async {
        await end(.slow(reason)) { _ in true }
    }

    public func connections() async -> [ConnectionInfo] {
        await onEach(\.listeners).flatMap { $0 }.sorted { $0.id < $1.id }
    }

    /// Closes one connection; false if there is none of this id.
    public func disconnect(_ id: Int64) async -> Bool {
        await onEach { $0.end(.closedByOwner) { $0.id == id } }.contains { $0 > 0 }
    }

    /// Says something to overlays of a page past the log.
    ///
    /// - Returns: those that were told.
    @discardableResult
    public func tell(
        _ message: ByteBuffer, toOverlaysOf page: Page.ID,
        where isWanted: @escaping @Sendable (OverlayPlace) -> Bool = { _ in true }
    ) async -> Set<OverlayPlace> {
        await onEach { $0.tell(message, page: page, where: isWanted) }.reduce(into: []) { $0.formUnion($1) }
    }

    public func statistics() async -> ShardStatistics {
        await onEach(\.report).reduce(ShardStatistics(), +)
    }

    /// Where EventSub's listeners stand.
    public struct Standing: Sendable {
        /// What all that are level have been given.
        public var level: Int64
        /// What the others have been given.
        public var behind: [EventSubscription.ID: Int64]
    }

    public func standing() async -> Standing {
        await onEach { $0.look() }.reduce(Standing(level: .max, behind: [:])) { sum, shard in
            Standing(
                level: min(sum.level, shard.level), behind: sum.behind.merging(shard.behind) { min($0, $1) })
        }
    }

    /// Stops the clocks. Listeners are closed by the front, whose connections they are.
    public func stop() { for tick in ticks { tick.cancel() } }

    @discardableResult
    private func onEach<Value: Sendable>(_ body: @escaping @Sendable (Shard) -> Value) async -> [Value] {
        let futures = shards.map { eventLoop, shard in eventLoop.submit { body(shard.value) } }
        var values: [Value] = []
        for future in futures {
            // `submit` fails only when the loop has been shut down, and then there are no listeners.
            if let value = try? await future.get() { values.append(value) }
        }
        return values
    }
}

/// Tells the last of several that it is.
private final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(from count: Int) { left = Atomic(count) }

    func isLast() -> Bool { left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
