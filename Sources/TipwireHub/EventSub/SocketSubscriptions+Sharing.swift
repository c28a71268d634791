import Logging
import NIOCore
import Synchronization
import TipwireCore
import TipwireStore

/// The same beside other nodes on one store.
extension SocketSubscriptions: SharedPart {
    /// What comes of asking the store for a subscription.
    public enum Answer: Sendable {
        case granted(SocketClaim)
        /// Another node has it, and was asked at this time whether its socket lives. To be asked again in a moment.
        case asked(at: Int64)
        /// A socket on another node has it, and lives.
        case occupied
        case unknown
        /// Somebody else here is asking, or has it by now: to be claimed again in a moment.
        case busy
        /// Too many ask for ids that nobody knows.
        case full
    }

    /// Whether a subscription that isn't here may be had by asking the store.
    public var isShared: Bool { sharing != nil }

    /// Whether any node is known to have a subscription of this id.
    public func knows(_ id: String) -> Bool { state.withLock { $0.registry.entries[id] != nil } }

    /// Asks the store for a subscription that this node doesn't have, for a socket that wants it.
    ///
    /// - Parameter time: when another node was first asked for this socket.
    public func ask(_ id: String, asked time: Int64?) async throws -> Answer {
        guard let sharing else { return .unknown }
        enum Place { case taken(isUnknown: Bool), refused(Answer) }
        let place = state.withLock { state -> Place in
            let entry = state.registry.entries[id]
            if entry?.isHere == true || state.shared.asking.contains(id) { return .refused(.busy) }
            if entry == nil {
                guard state.shared.unknown < SocketSharing.maximumUnknown else { return .refused(.full) }
                state.shared.unknown += 1
            }
            state.shared.asking.insert(id)
            return .taken(isUnknown: entry == nil)
        }
        let isUnknown: Bool
        switch place {
        case .taken(let found): isUnknown = found
        case .refused(let answer): return answer
        }
        let answer: SharedClaim
        do {
            answer = try await sharing.store.claimSocket(id, asked: time)
        } catch {
            state.withLock { state in
                state.shared.asked(id, isUnknown: isUnknown)
                // Nobody knows whether it was granted.
                state.shared.mustLook = true
            }
            throw error
        }
        let claim = state.withLock { state in
            state.shared.asked(id, isUnknown: isUnknown)
            guard case .granted(let socket) = answer else { return nil as SocketClaim? }
            if state.registry.entries[id] == nil { quota.enter(socket.subscription) }
            state.registry.receive(socket)
            state.gain(id)
            return SocketClaim(
                socket.subscription, position: socket.position, number: state.registry.entries[id]!.claim,
                sockets: self)
        }
        switch answer {
        case .granted(let socket):
            // Its key may have been made on another node a moment ago.
            if !directory.upholds(socket.subscription, at: clock.now()) { try await directory.refresh() }
            return .granted(claim!)
        case .asked(let time): return .asked(at: time)
        case .occupied: return .occupied
        case .unknown: return .unknown
        }
    }

    // MARK: Errands

    /// Gives the store what waits here, and tells whose sockets live.
    func runErrands() async {
        guard let sharing else { return }
        let (freed, shown) = state.withLock { state in
            defer { (state.shared.shown, state.shared.unsettled) = ([], []) }
            return (state.registry.giveBack(state.shared.unsettled), state.shared.shown)
        }
        if !freed.isEmpty {
            let isKept = await attempt("what sockets left was not given back; it is tried again") {
                try await sharing.store.releaseSockets(freed)
            }
            state.withLock { state in
                if isKept {
                    for id in freed.keys { state.settle(id) }
                } else {
                    state.shared.unsettled.formUnion(freed.keys)
                }
            }
        }
        if !shown.isEmpty {
            // Whoever has asked asks again if it isn't told.
            _ = await attempt("other nodes were not told which sockets live") {
                try await sharing.store.keepSockets(shown)
            }
        }
    }

    func tickShared() async {
        guard let sharing else { return }
        await runErrands()
        let window = state.withLock(\.registry.window)
        _ = await attempt("the windows of subscriptions were not looked at; it is tried again") {
            let ended = try await sharing.store.expireSockets(window: window)
            state.withLock { state in
                for id in ended where !(state.registry.entries[id]?.isHere ?? true) {
                    if let subscription = state.registry.remove(id) { state.forget(subscription, quota) }
                }
            }
        }
        let mustLook = state.withLock { state in
            defer { state.shared.mustLook = false }
            return state.shared.mustLook
        }
        if mustLook { await lookAgain() }
    }

    /// False when the store failed.
    private func attempt(_ complaint: String, _ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return true
        } catch {
            logger.warning("\(complaint)", metadata: ["error": "\(error)"])
            return false
        }
    }

    // MARK: What others do

    public var subject: StoreChanges { .sockets }

    public func refresh() async throws {
        guard let sharing else { return }
        let known = state.withLock(\.shared.looks)
        try await sharing.turn.take {
            // One that was begun since has seen all that this one would.
            let (isSeen, rest) = state.withLock { ($0.shared.looks > known, $0.shared.restsUntil) }
            guard !isSeen else { return }
            try await Task.sleep(until: rest, clock: .continuous)
            let start = ContinuousClock.now
            try await look(sharing)
            let end = ContinuousClock.now
            state.withLock { $0.shared.restsUntil = end + start.duration(to: end) * SocketSharing.rest }
        }
    }

    public func returned() async { await lookAgain() }

    public func logReplaced(_ bounds: LogBounds) async {
        state.withLock { state in
            state.registry.clamp(to: bounds.head)
            state.shared.oldLog = (state.registry.claims, bounds.head)
            state.unwritten = state.unwritten.mapValues { min($0, bounds.head) }
            state.writtenLevel = -1
        }
    }

    private func lookAgain() async {
        do {
            try await refresh()
        } catch {
            state.withLock { $0.shared.mustLook = true }
            // At the end of this process nobody looks again.
            guard !(error is CancellationError) else { return }
            logger.warning("subscriptions can't be read; it is tried again", metadata: ["error": "\(error)"])
        }
    }

    private func look(_ sharing: SocketSharing) async throws {
        state.withLock { state in
            state.shared.looks += 1
            state.shared.touched = []
        }
        defer { state.withLock { $0.shared.touched = nil } }
        let found = try await sharing.store.sharedSockets()
        let now = clock.now()
        let findings = state.withLock { $0.take(found, node: sharing.store.node, quota: quota, at: now) }
        if findings.hasErrands { sharing.hasErrands() }
        for holder in findings.ended { await holder.subscriptionEnded() }
        for holder in findings.displaced { await holder.displaced() }
        for (id, holder) in findings.wanted {
            holder.challenge(within: Self.challenge).whenSuccess { isAlive in
                // A dead one has given its subscription back.
                guard isAlive else { return }
                self.state.withLock { _ = $0.shared.shown.insert(id) }
                sharing.hasErrands()
            }
        }
        if !findings.freed.isEmpty { try await hold(findings.freed, sharing) }
    }

    /// This node was taken for dead: what nobody has claimed since is its own again, the rest is lost to it.
    private func hold(_ ids: Set<String>, _ sharing: SocketSharing) async throws {
        let held = try await sharing.store.holdSockets(ids)
        let displaced = state.withLock { state in
            // Of a node that is new to the store nothing is known there, not even its level.
            state.writtenLevel = -1
            return ids.compactMap { id -> (any SocketHolder)? in
                guard let entry = state.registry.entries[id], entry.isHere, !entry.isLeaving else { return nil }
                if held.contains(id) {
                    state.gain(id)
                    return nil
                }
                return state.lose(id, isConnected: true)
            }
        }
        for holder in displaced { await holder.displaced() }
    }
}
