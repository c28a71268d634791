import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TipwireCore
import TipwireStore

/// The EventSub subscriptions that are delivered by WebSocket: made here, claimed by sockets, and ended.
///
/// All are in memory, so that clients who come back at once and for ever with an old id cost no database. The store keeps
/// them over a restart, and where they stand, once a second: a crash repeats at most that much, and loses nothing.
///
/// Where several nodes share the store they wait there, and are claimed there: see `SocketSharing`.
public final class SocketSubscriptions: Service, AccessEnforcing {
    /// How often positions are kept and windows are closed.
    static let interval = Duration.seconds(1)
    /// How long a socket has to show that it lives when another one asks for its place.
    public static let challenge = TimeAmount.milliseconds(SharedSockets.patience)

    struct State {
        var registry: SocketRegistry
        var holders: [String: any SocketHolder] = [:]
        /// Own positions that the store should know and doesn't yet.
        var unwritten: [String: Int64] = [:]
        /// Those of which the store has an own position, or will.
        var notLevel: Set<String> = []
        /// What the store has as the level of all others.
        var writtenLevel: Int64 = -1
        var shared = SharedState()
    }

    private let store: any SocketStore
    /// What it takes to share the store with other nodes; nil where this process has it for itself.
    let sharing: SocketSharing?
    let directory: Directory
    private let fanout: Fanout
    private let position: LogPosition
    let clock: WallClock
    let quota: SubscriptionQuota
    let logger: Logger
    let state: Mutex<State>

    /// - Parameters:
    ///   - shared: the same store, where several nodes share it.
    ///   - windowSeconds: how long a subscription waits for a socket.
    public init(
        store: any SocketStore, shared: (any SharedSocketStore)? = nil, directory: Directory, fanout: Fanout,
        position: LogPosition, clock: WallClock, quota: SubscriptionQuota, windowSeconds: Int, logger: Logger
    ) async throws {
        self.store = store
        sharing = shared.map(SocketSharing.init)
        self.directory = directory
        self.fanout = fanout
        self.position = position
        self.clock = clock
        self.quota = quota
        self.logger = logger
        var state = State(registry: SocketRegistry(window: Int64(windowSeconds) * 1_000))
        let now = clock.now()
        // Every window begins anew: while the server was down nobody could connect.
        if let shared {
            try await shared.reopenSocketWindows()
            for found in try await shared.sharedSockets() {
                let subscription = found.socket.subscription
                state.registry.add(subscription, .elsewhere(isConnected: found.node != nil))
                quota.enter(subscription)
            }
        } else {
            for stored in try await store.socketSubscriptions() {
                state.registry.add(stored.subscription, position: stored.position, at: now)
                quota.enter(stored.subscription)
                state.unwritten[stored.subscription.id] = stored.position
                state.notLevel.insert(stored.subscription.id)
            }
        }
        self.state = Mutex(state)
    }

    public var count: Int { state.withLock { $0.registry.entries.count } }

    /// Makes a subscription; it is told of what is committed from now on.
    public func create(
        type: EventSubType, condition: EventSubCondition?, page: Page, principal: Principal
    ) async throws -> EventSubscription {
        guard case .key(let key) = principal.credential else {
            preconditionFailure("a socket subscription belongs to a key")
        }
        let now = clock.now()
        let head = position.bounds.head
        let subscription = try quota.makeSubscription(
            page: page.id, account: principal.account, key: key, type: type, condition: condition, at: now)
        state.withLock { state in
            if sharing != nil {
                state.registry.add(subscription, .leaving(position: head))
            } else {
                state.registry.add(subscription, position: head, at: now)
                state.notLevel.insert(subscription.id)
            }
        }
        do {
            try await store.createSocketSubscription(StoredSocket(subscription: subscription, position: head))
        } catch {
            await end { $0.id == subscription.id }
            throw error
        }
        if sharing != nil { state.withLock { $0.settle(subscription.id) } }
        // What it rests on may have gone while it was made; then nobody else would end it.
        if !directory.upholds(subscription, at: clock.now()) { await end { $0.id == subscription.id } }
        return subscription
    }

    /// Subscriptions that satisfy `condition`, oldest first, and whether each has a socket.
    public func list(where condition: (EventSubscription) -> Bool) -> [(
        subscription: EventSubscription, isConnected: Bool
    )] {
        state.withLock { $0.registry.entries.values.filter { condition($0.subscription) } }
            .map { ($0.subscription, $0.isConnected) }
            .sorted { ($0.0.createdAt, $0.0.id) < ($1.0.createdAt, $1.0.id) }
    }

    /// Ends one subscription and its socket; false if there is none of this id that satisfies `condition`.
    public func delete(_ id: String, where condition: (EventSubscription) -> Bool) async throws -> Bool {
        func isThere() -> Bool {
            state.withLock { $0.registry.entries[id].map { condition($0.subscription) } ?? false }
        }
        if !isThere() {
            // Another node may have made it a moment ago.
            try await refresh()
            guard isThere() else { return false }
        }
        try await store.deleteSocketSubscriptions([id])
        await end { $0.id == id }
        return true
    }

    // MARK: Sockets

    /// The subscription for a socket that asks for it; nil when there is none, its window is closed, or it has a socket. Where
    /// nodes share the store it may be had there nevertheless, by `ask`.
    public func claim(_ id: String) -> SocketClaim? {
        state.withLock { state in
            guard case .granted(let subscription, let position) = state.registry.claim(id, at: clock.now()) else {
                return nil
            }
            return SocketClaim(
                subscription, position: position, number: state.registry.entries[id]!.claim, sockets: self)
        }
    }

    /// Whether there is a subscription of this id here, with a socket or waiting for one.
    public func holds(_ id: String) -> Bool { state.withLock { $0.registry.entries[id]?.isHere ?? false } }

    /// The socket that a subscription has.
    public func holder(of id: String) -> (any SocketHolder)? { state.withLock { $0.holders[id] } }

    /// The claimed socket is there. False when the subscription ended in between, or was lost to another node: then it must
    /// not begin.
    func connect(_ id: String, claim: Int, _ holder: any SocketHolder) -> Bool {
        state.withLock { state in
            guard let entry = state.registry.entries[id], entry.isHere, entry.claim == claim else { return false }
            state.registry.connect(id)
            state.holders[id] = holder
            return true
        }
    }

    /// The socket is gone, or never came.
    func release(_ id: String, claim: Int, position: Int64?) {
        state.withLock { state in
            guard let entry = state.registry.entries[id], entry.isHere, entry.claim == claim else { return }
            let position = position.map { state.shared.fit($0, of: claim) }
            state.holders[id] = nil
            state.registry.release(id, position: position, at: clock.now())
            if let position {
                state.unwritten[id] = position
                state.notLevel.insert(id)
            }
        }
        sharing?.hasErrands()
    }

    // MARK: Ends

    public func enforce(_ loss: AccessLoss) async {
        switch loss {
        case .keyRevoked(let key): await end { $0.key == key }
        case .pageDeleted(let page): await end { $0.page == page }
        case .memberRemoved(let account, let page): await end { $0.account == account && $0.page == page }
        case .sessionEnded, .sessionsEnded: break
        }
    }

    /// Takes subscriptions out; their sockets are closed by whoever ends them, or here.
    private func end(where condition: (EventSubscription) -> Bool) async {
        await end(entriesWhere: { condition($0.subscription) })
    }

    private func end(entriesWhere condition: (SocketRegistry.Entry) -> Bool) async {
        let (ended, holders) = state.withLock { state in
            let ended = state.registry.remove(where: condition)
            return (ended, ended.compactMap { state.holders.removeValue(forKey: $0.id) })
        }
        await forget(ended)
        for holder in holders { await holder.subscriptionEnded() }
    }

    private func forget(_ ended: [EventSubscription]) async {
        guard !ended.isEmpty else { return }
        state.withLock { state in for subscription in ended { state.forget(subscription, quota) } }
        do {
            try await store.deleteSocketSubscriptions(ended.map(\.id))
        } catch {
            // Gone from memory, which decides; the store's row is found without its key, or expires, at the next start.
            logger.error("ended subscriptions were not removed from the store", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Time

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                if let sharing = self.sharing {
                    group.addTask { for await _ in sharing.errands { await self.runErrands() } }
                }
                while true {
                    try await Task.sleep(for: Self.interval)
                    await self.tick()
                }
            }
        }
        // The sockets are closed by now: what they were told of last is known.
        await runErrands()
        await keepPositions()
    }

    func tick() async {
        let now = clock.now()
        if sharing == nil {
            let expired = state.withLock { $0.registry.expire(at: now) }
            await forget(expired)
        } else {
            await tickShared()
        }
        // What another node has it ends itself; its key may be one that isn't known here yet.
        await end(entriesWhere: { $0.isHere && !self.directory.upholds($0.subscription, at: now) })
        await keepPositions()
    }

    private func keepPositions() async {
        // Who connects while the shards are asked isn't in their answer, and must not pass for level.
        let connected = state.withLock { state -> [String]? in
            let connected = state.registry.entries.values.filter { $0.phase == .connected }
            // Where those stand means nothing in the log that there is now; they are being cut.
            guard connected.allSatisfy({ !state.shared.isOfOldLog(claim: $0.claim) }) else { return nil }
            return connected.map(\.subscription.id)
        }
        guard let connected else { return }
        let standing = await fanout.standing()
        let positions = state.withLock { $0.takePositions(standing, of: connected) }
        guard let positions else { return }
        do {
            try await store.recordSocketPositions(positions)
            state.withLock { $0.writtenLevel = positions.level }
        } catch {
            logger.warning("where sockets stand was not kept; it is tried again", metadata: ["error": "\(error)"])
            state.withLock { state in
                state.unwritten.merge(positions.own) { newer, _ in newer }
                state.notLevel.formUnion(positions.levelled)
            }
        }
    }
}

extension SocketSubscriptions.State {
    /// A subscription is no more.
    mutating func forget(_ subscription: EventSubscription, _ quota: SubscriptionQuota) {
        quota.leave(subscription)
        unwritten[subscription.id] = nil
        notLevel.remove(subscription.id)
        touch(subscription.id)
    }

    /// What is worth a write now; nil for nothing.
    ///
    /// - Parameter ids: those that were connected when `standing` was asked for.
    fileprivate mutating func takePositions(
        _ standing: Fanout.Standing, of ids: [EventSubscription.ID]
    ) -> SocketPositions? {
        var positions = SocketPositions(level: standing.level, own: unwritten)
        unwritten = [:]
        var hasLevel = false
        for id in ids where registry.entries[id]?.phase == .connected {
            if let behind = standing.behind[id] {
                positions.own[id] = behind
                notLevel.insert(id)
            } else {
                hasLevel = true
                if notLevel.remove(id) != nil {
                    positions.levelled.insert(id)
                    positions.own[id] = nil
                }
            }
        }
        let isLevelNews = hasLevel && standing.level != writtenLevel
        return isLevelNews || !positions.own.isEmpty || !positions.levelled.isEmpty ? positions : nil
    }
}
