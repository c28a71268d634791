import NIOCore
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("Socket subscriptions on two nodes", .timeLimit(.minutes(1)))
struct SharedSubscriptionsTests {
    /// A node without listeners: what is claimed is held by doubles.
    private struct Node: Sendable {
        let store: SharedSocketDouble
        let sockets: SocketSubscriptions
        let quota: SubscriptionQuota

        /// Claims as a door does that knows nothing, and connects.
        func connect(_ id: String, isAlive: Bool = true) async throws -> HolderDouble {
            guard case .granted(let claim) = try await sockets.ask(id, asked: nil) else { throw NotGranted() }
            return try hold(claim, isAlive: isAlive)
        }

        func hold(_ claim: SocketClaim, isAlive: Bool = true) throws -> HolderDouble {
            let holder = HolderDouble(claim, isAlive: isAlive)
            guard claim.connect(holder) else { throw NotGranted() }
            return holder
        }

        var connected: [String: Bool] {
            Dictionary(uniqueKeysWithValues: sockets.list { _ in true }.map { ($0.subscription.id, $0.isConnected) })
        }
    }

    private struct NotGranted: Error {}

    private struct House: Sendable {
        let table: SharedSocketTable
        let a: Node
        let b: Node
        let page: Page
        let owner: Account

        func make(on node: Node) async throws -> String {
            try await node.sockets.create(
                type: .alerts, condition: nil, page: page, principal: principal(owner)
            ).id
        }
    }

    private func withHouse(_ body: (House) async throws -> Void) async throws {
        try await withStore { double in
            let directory = try await TipwireHub.Directory(store: double.real)
            let owner = try await directory.makeAccount("olivia")
            let page = try await directory.makePage("main", of: owner.id)
            try await directory.createKey(keyRecord(.random(), account: owner.id, scopes: [.eventsub]))
            let table = SharedSocketTable()
            let nodes = [
                try await node(SharedSocketDouble(double.real, table), directory),
                try await node(SharedSocketDouble(double.real, table), directory),
            ]
            try await body(House(table: table, a: nodes[0], b: nodes[1], page: page, owner: owner))
        }
    }

    private func node(_ store: SharedSocketDouble, _ directory: TipwireHub.Directory) async throws -> Node {
        let position = LogPosition(LogBounds(epoch: "e", head: 5, prunedThrough: 0))
        let encoder = EventEncoder(directory: directory, position: position) { "" }
        let fanout = Fanout(
            eventLoops: [], settings: .test(), log: position,
            reader: CatchUpReader(
                store: store, directory: directory, encoder: encoder, metrics: HubMetrics(), logger: silence),
            clock: TestClock().wall)
        let quota = SubscriptionQuota(limits: .init(perKey: 2, perPage: 9, creationsPerMinute: 99))
        let sockets = try await SocketSubscriptions(
            store: store, shared: store, directory: directory, fanout: fanout, position: position,
            clock: TestClock().wall, quota: quota, windowSeconds: 120, logger: silence)
        return Node(store: store, sockets: sockets, quota: quota)
    }

    // MARK: Claims

    @Test("One that was made on one node connects on another, which it needn't have heard of")
    func elsewhere() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            #expect(house.b.connected == [:] && !house.b.sockets.knows(id))
            #expect(house.a.sockets.claim(id) == nil && !house.a.sockets.holds(id), "it waits in the store")
            guard case .granted(let claim) = try await house.b.sockets.ask(id, asked: nil) else { throw NotGranted() }
            #expect(claim.position == 5 && claim.subscription.id == id)
            let holder = try house.b.hold(claim)
            #expect(house.table[id]?.node == house.b.store.node && house.b.connected == [id: true])
            try await house.a.sockets.refresh()
            #expect(house.a.connected == [id: true])
            guard case .asked = try await house.a.sockets.ask(id, asked: nil) else { throw NotGranted() }
            #expect(holder.heard.value == [])
        }
    }

    @Test("A socket that lives keeps its place against one on another node, one that is dead makes room")
    func challenge() async throws {
        try await withHouse { house in
            for isAlive in [true, false] {
                let id = try await house.make(on: house.a)
                let holder = try await house.a.connect(id, isAlive: isAlive)
                guard case .asked(let time) = try await house.b.sockets.ask(id, asked: nil) else { throw NotGranted() }
                try await house.a.sockets.refresh()
                try await holder.heard.wait { $0 == [.challenge] }
                // The errand of the answer.
                try await until {
                    await house.a.sockets.runErrands()
                    return house.table[id]?.isKept == true || house.table[id]?.node == nil
                }
                switch try await house.b.sockets.ask(id, asked: time) {
                case .occupied: #expect(isAlive)
                case .granted(let claim): #expect(!isAlive && claim.position == 7, "what the dead one had taken")
                default: Issue.record("undecided")
                }
            }
        }
    }

    @Test("A socket that left on one node is followed by one on another, from what was delivered")
    func window() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            let holder = try await house.a.connect(id)
            holder.claim.release(position: 9)
            #expect(house.a.connected == [id: false])
            guard case .asked = try await house.b.sockets.ask(id, asked: nil) else { throw NotGranted() }
            await house.a.sockets.runErrands()
            #expect(house.table[id]?.node == nil && house.table[id]?.socket.position == 9)
            let next = try await house.b.connect(id)
            #expect(next.claim.position == 9)
            // What the first node knew of it is no more to be told.
            await house.a.sockets.tick()
            #expect(house.a.store.positions.value.allSatisfy { $0.own[id] == nil && !$0.levelled.contains(id) })
        }
    }

    @Test("Who comes back before the store was told is served from memory")
    func back() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            try await house.a.connect(id).claim.release(position: 9)
            let claim = try #require(house.a.sockets.claim(id))
            _ = try house.a.hold(claim)
            await house.a.sockets.runErrands()
            #expect(claim.position == 9 && house.table[id]?.node == house.a.store.node)
        }
    }

    @Test("Nobody has one whose return to the store failed, until it has succeeded")
    func failedRelease() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            try await house.a.connect(id).claim.release(position: 9)
            // Kept, and the answer was lost: another node may have it by now.
            house.a.store.hook { $0.after = { if $0 == "release" { throw BrokenStore() } } }
            await house.a.sockets.runErrands()
            #expect(house.a.sockets.claim(id) == nil && house.a.sockets.holds(id))
            guard case .busy = try await house.a.sockets.ask(id, asked: nil) else { throw NotGranted() }
            let other = try await house.b.connect(id)
            house.a.store.hook { $0.after = nil }
            await house.a.sockets.runErrands()
            #expect(!house.a.sockets.holds(id) && house.table[id]?.node == house.b.store.node)
            #expect(other.claim.position == 9 && other.heard.value == [])
        }
    }

    @Test("A claim whose answer was lost doesn't lock anybody out")
    func lostAnswer() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            house.a.store.hook { $0.after = { if $0 == "claim" { throw BrokenStore() } } }
            await #expect(throws: BrokenStore.self) { _ = try await house.a.sockets.ask(id, asked: nil) }
            #expect(house.table[id]?.node == house.a.store.node)
            house.a.store.hook { $0.after = nil }
            await house.a.sockets.tick()
            await house.a.sockets.tick()
            #expect(try await house.b.connect(id).claim.position == 5)
        }
    }

    @Test("Of two sockets that come to a node at once for one id, the other waits")
    func twoAtOnce() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.b)
            let gate = Gate()
            house.a.store.hook { $0.before = { if $0 == "claim" { try await gate.pass() } } }
            async let first = house.a.sockets.ask(id, asked: nil)
            try await gate.arrived()
            guard case .busy = try await house.a.sockets.ask(id, asked: nil) else { throw NotGranted() }
            gate.open()
            guard case .granted(let claim) = try await first else { throw NotGranted() }
            guard case .busy = try await house.a.sockets.ask(id, asked: nil) else { throw NotGranted() }
            _ = claim
        }
    }

    @Test("Ids that nobody knows are asked for some at a time, and don't hold up those that are known")
    func manyUnknown() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            let gate = Gate()
            house.a.store.hook { $0.before = { if $0 == "claim" { try await gate.pass() } } }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<SocketSharing.maximumUnknown {
                    group.addTask { _ = try await house.a.sockets.ask("guess \(number)", asked: nil) }
                }
                try await gate.arrived(SocketSharing.maximumUnknown)
                guard case .full = try await house.a.sockets.ask("guess", asked: nil) else { throw NotGranted() }
                group.addTask { _ = try await house.a.connect(id) }
                try await gate.arrived(SocketSharing.maximumUnknown + 1)
                gate.open()
                try await group.waitForAll()
            }
            guard case .unknown = try await house.a.sockets.ask("guess", asked: nil) else { throw NotGranted() }
        }
    }

    // MARK: What others do

    @Test("One that is deleted on another node, which hears of it only then, ends with its socket and its place")
    func deletion() async throws {
        try await withHouse { house in
            let ids = [try await house.make(on: house.a), try await house.make(on: house.a)]
            await #expect(throws: SubscriptionQuota.Refusal.tooManyOfKey(limit: 2)) {
                _ = try await house.make(on: house.a)
            }
            let holder = try await house.a.connect(ids[0])
            #expect(try await !house.b.sockets.delete("nobody") { _ in true })
            await #expect(throws: SubscriptionQuota.Refusal.tooManyOfKey(limit: 2), "all nodes count together") {
                _ = try await house.make(on: house.b)
            }
            for id in ids { #expect(try await house.b.sockets.delete(id) { _ in true }) }
            try await house.a.sockets.refresh()
            #expect(holder.heard.value == [.ended] && house.a.connected == [:])
            _ = try await house.make(on: house.a)
        }
    }

    @Test("One that another node has is lost here, and what is left of it here has nothing to say")
    func displacement() async throws {
        try await withHouse { house in
            let id = try await house.make(on: house.a)
            let holder = try await house.a.connect(id)
            house.table.free(house.a.store.node)
            let other = try await house.b.connect(id)
            try await house.a.sockets.refresh()
            #expect(holder.heard.value == [.displaced] && house.a.connected == [id: true])
            #expect(!house.a.sockets.holds(id))
            // Back here, while the first socket is still about to say what it had.
            other.claim.release(position: 8)
            await house.b.sockets.runErrands()
            let third = try await house.a.connect(id)
            holder.claim.release(position: 3)
            await house.a.sockets.runErrands()
            #expect(house.a.sockets.holds(id) && house.table[id]?.node == house.a.store.node)
            #expect(third.claim.position == 8)
        }
    }

    @Test("A node that was taken for dead takes back what nobody has claimed")
    func returned() async throws {
        try await withHouse { house in
            let ids = [try await house.make(on: house.a), try await house.make(on: house.a)]
            let holders = [try await house.a.connect(ids[0]), try await house.a.connect(ids[1])]
            house.table.free(house.a.store.node)
            _ = try await house.b.connect(ids[1])
            await house.a.sockets.returned()
            #expect(holders.map(\.heard.value) == [[], [.displaced]])
            #expect(house.table[ids[0]]?.node == house.a.store.node)
            #expect(house.table[ids[1]]?.node == house.b.store.node)
            // Its level is told anew: the store knows none of it.
            await house.a.sockets.tick()
            #expect(house.a.store.positions.value.last?.levelled == [ids[0]])
        }
    }

    @Test("What is made, claimed or given back during a look isn't taken for what the look has seen")
    func oldLook() async throws {
        try await withHouse { house in
            let claimed = try await house.make(on: house.a)
            let gate = Gate()
            house.a.store.hook { $0.after = { if $0 == "read" { try await gate.pass() } } }
            async let look: Void = house.a.sockets.refresh()
            try await gate.arrived()
            let made = try await house.make(on: house.a)
            let holder = try await house.a.connect(claimed)
            gate.open()
            try await look
            #expect(house.a.connected == [claimed: true, made: false] && holder.heard.value == [])
            #expect(house.a.sockets.holds(claimed))
        }
    }

    @Test("Another's subscription isn't ended because its key isn't known here yet")
    func unknownKey() async throws {
        try await withHouse { house in
            let subscription = EventSubscription(
                id: "x", page: house.page.id, account: house.owner.id, key: "made on another node", type: .alerts,
                condition: nil, createdAt: noon)
            house.table.rows.change {
                $0["x"] = .init(socket: StoredSocket(subscription: subscription, position: 1), node: house.b.store.node)
            }
            try await house.a.sockets.refresh()
            await house.a.sockets.tick()
            #expect(house.a.connected == ["x": true] && house.table["x"] != nil)
        }
    }

    @Test("Nobody stands behind the end of a log that has taken another's place, whose sockets are still being cut")
    func replacedLog() async throws {
        try await withHouse { house in
            let ids = [try await house.make(on: house.a), try await house.make(on: house.a)]
            try await house.a.connect(ids[0]).claim.release(position: 9)
            let holder = try await house.a.connect(ids[1])
            await house.a.sockets.logReplaced(LogBounds(epoch: "other", head: 2, prunedThrough: 0))
            await house.a.sockets.tick()
            #expect(house.a.store.positions.value.isEmpty, "where it stands is of the log before")
            holder.claim.release(position: 8)
            await house.a.sockets.runErrands()
            #expect(ids.map { house.table[$0]?.socket.position } == [2, 2])
            let next = try await house.a.connect(ids[1])
            next.claim.release(position: 4)
            await house.a.sockets.runErrands()
            #expect(house.table[ids[1]]?.socket.position == 4)
        }
    }
}

/// The socket of a claim, as far as anybody asks it anything.
private final class HolderDouble: SocketHolder {
    enum Call: Sendable { case challenge, ended, displaced }

    let claim: SocketClaim
    let heard = Watched<[Call]>([])
    private let isAlive: Bool

    init(_ claim: SocketClaim, isAlive: Bool) {
        self.claim = claim
        self.isAlive = isAlive
    }

    func challenge(within limit: TimeAmount) -> EventLoopFuture<Bool> {
        if !isAlive { claim.release(position: 7) }
        heard.change { $0.append(.challenge) }
        return eventLoops[0].makeSucceededFuture(isAlive)
    }

    func subscriptionEnded() async { heard.change { $0.append(.ended) } }

    func displaced() async { heard.change { $0.append(.displaced) } }
}
