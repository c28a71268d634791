import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import TipwireCore
import TipwireSockets
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

/// The event loops of all tests, two of them, so that every fan-out has more than one shard.
let eventLoops = Array(MultiThreadedEventLoopGroup(numberOfThreads: 2).makeIterator())

/// The whole path from the intake to the listeners, over a real store and real event loops.
struct Hub: Sendable {
    let store: StoreDouble
    let clock: TestClock
    let position: LogPosition
    let directory: TipwireHub.Directory
    let metrics = HubMetrics()
    let wakeUp = WakeUp()
    let intake: TipIntake
    let encoder: EventEncoder
    let reader: CatchUpReader
    let fanout: Fanout
    let relay: EventRelay
    /// What its listeners have instead of played sockets.
    let sockets: RealSockets?

    /// - Parameters:
    ///   - sockets: real ones for the listeners that have any; `makeSender` must be of their kind.
    init(
        store: StoreDouble, settings: Fanout.Settings, maxPending: Int, sharing: Duration = .zero,
        expectedCommit: (@Sendable () -> Duration?)? = nil, longestWait: Duration = EventRelay.longestWait,
        sockets: RealSockets? = nil, makeSender: @escaping @Sendable () -> any SocketSender = { KernelDouble() }
    ) async throws {
        self.store = store
        self.sockets = sockets
        clock = TestClock()
        position = LogPosition(try await store.bounds())
        directory = try await TipwireHub.Directory(store: store)
        intake = TipIntake(
            store: store, position: position, wakeUp: wakeUp, clock: clock.wall, maxPending: maxPending,
            metrics: metrics, logger: silence)
        encoder = EventEncoder(directory: directory, position: position) { "http://tipwire.test" }
        reader = CatchUpReader(
            store: store, directory: directory, encoder: encoder, metrics: metrics, logger: silence, sharing: sharing)
        fanout = Fanout(
            eventLoops: eventLoops, settings: settings, log: position, reader: reader, clock: clock.wall,
            makeSender: makeSender)
        directory.enforce(with: fanout)
        relay = EventRelay(
            store: store, position: position, wakeUp: wakeUp, fanout: fanout, encoder: encoder,
            expectedCommit: expectedCommit ?? { [intake] in intake.expectedCommit }, longestWait: longestWait,
            metrics: metrics, logger: silence)
    }

    /// Submits one tip.
    @discardableResult
    func tip(_ page: Page, _ gross: Int = 500) async throws -> LogAnswer {
        try await intake.submit(.receive(page: page.id, drafts: [draft(gross)], idempotencyKey: nil))[0]
    }

    /// Submits several tips as one command.
    @discardableResult
    func tips(_ page: Page, _ count: Int) async throws -> [LogAnswer] {
        try await intake.submit(
            .receive(page: page.id, drafts: (1...count).map { try draft($0) }, idempotencyKey: nil))
    }

    /// Connects a listener on one of the event loops.
    func listen(
        _ audience: Audience, as principal: Principal, in dialect: Dialect = .pally,
        from start: Subscription.Start = .live, loop: Int = 0, isWritable: Bool = true,
        hasSocket: Bool = false, beginning: ByteBuffer? = nil, keeping: Heard.Keeping = .never
    ) async throws -> Listener {
        try await Listener.connect(
            Subscription(
                dialect: dialect, audience: audience, principal: principal, start: start, remoteAddress: "192.0.2.1",
                connectedAt: noon, eventSub: beginning.map { DeliveredSubscription("subscription", beginning: $0) }),
            to: fanout, on: eventLoops[loop], isWritable: isWritable, hasSocket: hasSocket, sockets: sockets,
            keeping: keeping)
    }

    /// Returns when each loop has done what was asked of it before.
    func settle() async { _ = await fanout.statistics() }

    /// One look at the clock by every shard.
    func tick() async throws {
        for eventLoop in eventLoops {
            try await eventLoop.submit { fanout.shard(on: eventLoop).tick() }.get()
        }
    }
}

extension Fanout.Settings {
    /// Limits that no test reaches unless it means to, and a log that is read by all who are behind.
    static func test(
        idleSeconds: Int = 3_600, probeSeconds: Int = 3_600, maxLagBytes: Int = 1 << 30, maxLagSeconds: Int = 3_600,
        keepaliveSeconds: Int = 3_600, maxStreamSeconds: Int = 0, recentEvents: Int = 0
    ) -> Fanout.Settings {
        var settings = Fanout.Settings(
            idleSeconds: idleSeconds, probeSeconds: probeSeconds, maxLagBytes: maxLagBytes,
            maxLagSeconds: maxLagSeconds, keepaliveSeconds: keepaliveSeconds, maxStreamSeconds: maxStreamSeconds)
        settings.recentEvents = recentEvents
        return settings
    }
}

/// Runs a hub with its services while `body` lasts.
func withHub(
    _ settings: Fanout.Settings = .test(), maxPending: Int = 10_000, sharing: Duration = .zero,
    expectedCommit: (@Sendable () -> Duration?)? = nil, longestWait: Duration = EventRelay.longestWait,
    sockets: RealSockets? = nil, makeSender: @escaping @Sendable () -> any SocketSender = { KernelDouble() },
    _ body: @Sendable (Hub) async throws -> Void
) async throws {
    try await withStore { store in
        let hub = try await Hub(
            store: store, settings: settings, maxPending: maxPending, sharing: sharing, expectedCommit: expectedCommit,
            longestWait: longestWait, sockets: sockets, makeSender: makeSender)
        defer { hub.fanout.stop() }
        try await withServices([hub.reader, hub.relay, hub.intake]) { _ in try await body(hub) }
    }
}

/// Runs services while `body` lasts, and shuts them down in good order after it.
func withServices(
    _ services: [any Service], _ body: @Sendable (ServiceGroup) async throws -> Void
) async throws {
    let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: services, logger: silence))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        try await body(group)
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}

/// One connected listener and the loop that it lives on.
struct Listener: Sendable {
    let sink: ListenerDouble
    let id: Int64
    private let fanout: Fanout
    private let eventLoop: any EventLoop
    let subscriber: NIOLoopBound<Subscriber>

    static func connect(
        _ subscription: Subscription, to fanout: Fanout, on eventLoop: any EventLoop, isWritable: Bool,
        hasSocket: Bool = false, sockets: RealSockets? = nil, keeping: Heard.Keeping = .never
    ) async throws -> Listener {
        let sink = ListenerDouble(dialect: subscription.dialect)
        sink.heard.change { heard in
            heard.isWritable = isWritable
            heard.keeping = keeping
        }
        if hasSocket, sockets == nil { sink.playSocket() }
        let (subscriber, id) = try await eventLoop.submit {
            let shard = fanout.shard(on: eventLoop)
            if hasSocket, let sockets { sink.connect(try sockets.line(to: sink)) }
            let subscriber = shard.subscribe(subscription, sink: sink)
            let bound = NIOLoopBound(subscriber, eventLoop: eventLoop)
            let front = ListenerDouble.Front(
                held: { fanout.shard(on: eventLoop).held(bound.value) },
                becameWritable: { fanout.shard(on: eventLoop).becameWritable(bound.value) },
                ended: { fanout.shard(on: eventLoop).remove(bound.value) })
            sink.front.change { $0 = front }
            shard.start(subscriber)
            return (bound, subscriber.id)
        }.get()
        return Listener(sink: sink, id: id, fanout: fanout, eventLoop: eventLoop, subscriber: subscriber)
    }

    /// The connection begins or ceases to take bytes; the fan-out is told of the former, as a channel tells it. With a real socket
    /// it is the client who begins or ceases to read, and what comes of that is the socket's to tell.
    func setWritable(_ isWritable: Bool) async throws {
        try await eventLoop.submit {
            if let line = sink.line { return line.client.value.read(upTo: isWritable ? .max : 0) }
            sink.heard.change {
                $0.isWritable = isWritable
                if isWritable {
                    $0.writesUntilFull = nil
                    $0.drain()
                }
            }
            let shard = fanout.shard(on: eventLoop)
            if isWritable { shard.becameWritable(subscriber.value) } else { shard.held(subscriber.value) }
        }.get()
    }

    /// There is room for so many bytes of what waits.
    func take(_ count: Int) async throws {
        try await eventLoop.submit {
            if let line = sink.line { return line.client.value.read(upTo: count) }
            sink.heard.change { $0.drain(count) }
        }.get()
    }

    /// From now on the connection takes everything.
    func takeAll() async throws {
        sink.heard.change { $0.keeping = .never }
        try await setWritable(true)
    }

    /// The peer is heard.
    func speak() async throws {
        try await eventLoop.submit { fanout.shard(on: eventLoop).heard(subscriber.value) }.get()
    }

    func leave() async throws {
        try await eventLoop.submit {
            guard let line = sink.line else { return fanout.shard(on: eventLoop).remove(subscriber.value) }
            line.client.value.closeDescriptor()
            line.socket.value.close()
        }.get()
    }

    /// Where its delivery stands.
    func state() async throws -> Delivery.State {
        try await eventLoop.submit { subscriber.value.delivery.state }.get()
    }

    func received(through sequence: Int64) async throws {
        try await sink.heard.wait { $0.furthest >= sequence || $0.end != nil || $0.isGarbled }
    }

    func ended() async throws -> EndReason? {
        try await sink.heard.wait { $0.end != nil }
        return sink.heard.value.end
    }

    func begun() async throws -> Resumption? {
        try await sink.heard.wait { !$0.resumptions.isEmpty || $0.end != nil }
        return sink.heard.value.resumptions.first
    }

    var sequences: [Int64] { sink.heard.value.sequences }
}

/// A caller with a key of its own.
func principal(_ account: Account, key: String = "k1", expiresAt: Timestamp? = nil) -> Principal {
    Principal(
        account: account.id, credential: .key(id: key), scopes: [.eventsRead], pageLimit: nil, expiresAt: expiresAt)
}
