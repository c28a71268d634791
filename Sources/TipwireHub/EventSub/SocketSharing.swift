import TipwireCore
import TipwireStore

/// What one node needs so that a subscription has one socket on all nodes together.
///
/// The store decides whose a subscription is; who has it decides all else, in memory, as a server alone does. A subscription
/// that waits is nobody's: what a socket left behind is given to the store at once (an errand), and claimed there by any node.
/// What others do is read from the store after they have told of it.
struct SocketSharing: Sendable {
    /// Most ids that are asked for at a time without being known here. Anyone may come with one, and each costs the store a look;
    /// past this whoever comes is told to come again. Of those that are known there are as many as subscriptions.
    static let maximumUnknown = 256
    /// How long no subscriptions are read after they were, for each moment that it took. While all sockets of a node that has
    /// ended come to the others there is news without end, of as many rows each time.
    static let rest = 10

    let store: any SharedSocketStore
    /// Looks at the store, one after the other.
    let turn = Turn()
    /// One element stands for any number of errands.
    let errands: AsyncStream<Void>
    private let errand: AsyncStream<Void>.Continuation

    init(_ store: any SharedSocketStore) {
        self.store = store
        (errands, errand) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func hasErrands() { errand.yield() }
}

/// What memory holds for it.
struct SharedState {
    /// Ids that the store is being asked for.
    var asking: Set<String> = []
    /// How many of them are known to nobody here.
    var unknown = 0
    /// What could not be given to the store, or nobody knows whether it was.
    var unsettled: Set<String> = []
    /// Those whose sockets have shown that they live, and nobody has been told.
    var shown: Set<String> = []
    /// Looks that were begun.
    var looks = 0
    /// When the next one may begin.
    var restsUntil = ContinuousClock.now
    /// During a look: what was made, claimed, given back or ended here since it began. What it finds of those may be older.
    var touched: Set<String>?
    /// Memory and store may differ, and nobody will tell of it.
    var mustLook = false
    /// When the log became another one: the last claim before, and where what is left of that log ends.
    var oldLog: (claim: Int, head: Int64)?

    /// The store has answered.
    mutating func asked(_ id: String, isUnknown: Bool) {
        asking.remove(id)
        if isUnknown { unknown -= 1 }
    }

    func isOfOldLog(claim: Int) -> Bool { oldLog.map { claim <= $0.claim } ?? false }

    /// Where a socket stands in the log that there is now.
    func fit(_ position: Int64, of claim: Int) -> Int64 {
        guard let oldLog, claim <= oldLog.claim else { return position }
        return min(position, oldLog.head)
    }
}

/// What a look at the store has found that memory didn't know.
struct SocketFindings {
    /// Sockets whose subscriptions others have ended.
    var ended: [any SocketHolder] = []
    /// Sockets whose subscriptions other nodes have.
    var displaced: [any SocketHolder] = []
    /// This node's own that the store holds for nobody's.
    var freed: Set<String> = []
    /// What other nodes ask for, and its socket.
    var wanted: [(id: String, holder: any SocketHolder)] = []
    /// Something is there for the store.
    var hasErrands = false
}

extension SocketSubscriptions.State {
    /// This node has changed something about it in the store.
    mutating func touch(_ id: String) { shared.touched?.insert(id) }

    /// One that was on its way to the store is there.
    mutating func settle(_ id: String) {
        guard registry.entries[id]?.isLeaving == true else { return }
        touch(id)
        _ = lose(id, isConnected: false)
    }

    /// Another node has it, or nobody: whoever holds it here has lost it.
    mutating func lose(_ id: String, isConnected: Bool) -> (any SocketHolder)? {
        registry.leave(id, isConnected: isConnected)
        unwritten[id] = nil
        notLevel.remove(id)
        return holders.removeValue(forKey: id)
    }

    /// The store gave it to this node, and knows its own position of it.
    mutating func gain(_ id: String) {
        touch(id)
        notLevel.insert(id)
    }

    /// Takes over what the store has.
    mutating func take(
        _ found: [SharedSocket], node: NodeID, quota: SubscriptionQuota, at now: Timestamp
    ) -> SocketFindings {
        let touched = shared.touched ?? []
        var findings = SocketFindings()
        var ids = Set<String>(minimumCapacity: found.count)
        for found in found {
            let id = found.socket.subscription.id
            ids.insert(id)
            if !touched.contains(id), !shared.asking.contains(id) {
                take(found, node: node, quota: quota, at: now, &findings)
            }
        }
        for (id, entry) in registry.entries where !ids.contains(id) {
            guard !touched.contains(id), !shared.asking.contains(id), !entry.isLeaving else {
                // What is on its way to the store may also be gone from there.
                shared.mustLook = true
                continue
            }
            _ = registry.remove(id)
            forget(entry.subscription, quota)
            if let holder = holders.removeValue(forKey: id) { findings.ended.append(holder) }
        }
        return findings
    }

    private mutating func take(
        _ found: SharedSocket, node: NodeID, quota: SubscriptionQuota, at now: Timestamp,
        _ findings: inout SocketFindings
    ) {
        let subscription = found.socket.subscription
        let id = subscription.id
        if registry.entries[id] == nil {
            registry.add(subscription, .elsewhere(isConnected: false))
            quota.enter(subscription)
        }
        switch (registry.entries[id]!, found.node) {
        case (let entry, _) where entry.isLeaving: break
        case (let entry, node?) where entry.isHere:
            if found.isWanted, let holder = holders[id] { findings.wanted.append((id, holder)) }
        case (_, node?):
            // The answer to a claim was lost, or the word that it was given back.
            registry.returnHere(id, position: found.socket.position, at: now)
            findings.hasErrands = true
        case (let entry, nil) where entry.isHere: findings.freed.insert(id)
        case (_, let other):
            if let holder = lose(id, isConnected: other != nil) { findings.displaced.append(holder) }
        }
    }
}
