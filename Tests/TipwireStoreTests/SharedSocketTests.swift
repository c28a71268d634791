import Testing
import TipwireCore
import TipwirePostgres
import TipwireStore

/// Which of several nodes on one database has a subscription.
@Suite(.enabled(if: StoreKind.postgres != nil, "TIPWIRE_TEST_POSTGRES names no server"), .timeLimit(.minutes(2)))
struct SharedSocketTests {
    private func granted(_ claim: SharedClaim) -> Int64? {
        if case .granted(let socket) = claim { socket.position } else { nil }
    }

    private func asked(_ claim: SharedClaim) throws -> Int64 {
        guard case .asked(let time) = claim else { throw Unexpected(claim: claim) }
        return time
    }

    private struct Unexpected: Error { let claim: SharedClaim }

    // MARK: Claims

    @Test func `of two nodes that claim one subscription at once, one has it`() async throws {
        try await withStoreNodes { nodes in
            for round in 0..<20 {
                let id = "s\(round)"
                try await nodes.make(id)
                async let one = nodes.first.claimSocket(id, asked: nil)
                async let other = nodes.second.claimSocket(id, asked: nil)
                let claims = try await [one, other]
                #expect(claims.compactMap(granted) == [1])
                #expect(claims.filter { if case .asked = $0 { true } else { false } }.count == 1)
                let owner = granted(claims[0]) == nil ? nodes.second : nodes.first
                #expect(try await nodes.found(id).node == owner.node)
            }
            #expect(try await nodes.first.claimSocket("nobody", asked: nil) == .unknown)
            #expect(try await nodes.first.claimSocket("nobo\0dy", asked: nil) == .unknown)
        }
    }

    @Test func `a subscription is given back by its node alone, and claimed where that left it`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a", "b")
            #expect(granted(try await nodes.first.claimSocket("a", asked: nil)) == 1)
            try await nodes.second.releaseSockets(["a": 9, "b": 9])
            #expect(try await nodes.found("a").node == nodes.first.node)
            #expect(try await nodes.found("b").socket.position == 1, "it was nobody's")
            try await nodes.first.releaseSockets(["a": 7])
            #expect(granted(try await nodes.second.claimSocket("a", asked: nil)) == 7)
        }
    }

    @Test func `a node that has a subscription says whether its socket lives`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a")
            _ = try await nodes.first.claimSocket("a", asked: nil)
            #expect(try await nodes.found("a").isWanted == false)
            let time = try asked(try await nodes.second.claimSocket("a", asked: nil))
            #expect(try await nodes.found("a").isWanted)
            #expect(try await nodes.second.claimSocket("a", asked: time) == .asked(at: time), "nobody has answered")
            try await nodes.second.keepSockets(["a"])
            #expect(try await nodes.second.claimSocket("a", asked: time) == .asked(at: time), "it isn't the second's")
            try await nodes.first.keepSockets(["a"])
            #expect(try await nodes.second.claimSocket("a", asked: time) == .occupied)
            #expect(try await nodes.found("a").isWanted == false)
            // An answer is one to those who had asked.
            let later = try asked(try await nodes.second.claimSocket("a", asked: nil))
            #expect(try await nodes.second.claimSocket("a", asked: later + 1) == .asked(at: later + 1))
        }
    }

    @Test func `a node that neither answers nor beats loses what is asked for`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a", "b")
            for id in ["a", "b"] { _ = try await nodes.first.claimSocket(id, asked: nil) }
            let time = try asked(try await nodes.second.claimSocket("a", asked: nil))
            let long = time - SharedSockets.patience
            #expect(try await nodes.second.claimSocket("a", asked: long) == .asked(at: long), "it beats")
            try nodes.silence(nodes.first, milliseconds: SharedSockets.patience)
            #expect(try await nodes.second.claimSocket("a", asked: time + 9) == .asked(at: time + 9), "only just asked")
            #expect(granted(try await nodes.second.claimSocket("a", asked: long)) == 1)
            #expect(try await nodes.found("b").node == nodes.first.node, "nobody has asked for it")
        }
    }

    // MARK: Nodes

    @Test func `what a dead node had stands where it was last kept, and is taken back if nobody has it`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a", "b", "c")
            for id in ["a", "b", "c"] { _ = try await nodes.first.claimSocket(id, asked: nil) }
            try await nodes.first.recordSocketPositions(SocketPositions(level: 7, levelled: ["a", "b"], own: ["c": 5]))
            try nodes.silence(nodes.first, milliseconds: NodeTimes.dead + 1)
            _ = try await nodes.second.beat(.sample)
            for (id, position) in [("a", Int64(7)), ("b", 7), ("c", 5)] {
                let found = try await nodes.found(id)
                #expect(found.node == nil && found.socket.position == position)
            }
            #expect(granted(try await nodes.second.claimSocket("a", asked: nil)) == 7)
            // What it believes to have is no longer its own.
            try await nodes.first.recordSocketPositions(
                SocketPositions(level: 99, levelled: ["a", "b"], own: ["c": 99]))
            #expect(try await nodes.second.sharedSockets().map(\.socket.position) == [7, 7, 5])
            #expect(try await nodes.first.holdSockets(["b"]) == [], "it is dead until it beats")
            _ = try asked(try await nodes.first.claimSocket("b", asked: nil))
            #expect(try await nodes.first.beat(.sample).isNew)
            #expect(try await nodes.first.holdSockets(["a", "b", "c", "nobody"]) == ["b", "c"])
            #expect(try await nodes.found("a").node == nodes.second.node)
            #expect(try await nodes.found("b").node == nodes.first.node)
        }
    }

    @Test func `a node that leaves has nothing any more`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a")
            _ = try await nodes.first.claimSocket("a", asked: nil)
            try await nodes.first.recordSocketPositions(SocketPositions(level: 4, levelled: ["a"]))
            try await nodes.first.leave()
            #expect(granted(try await nodes.second.claimSocket("a", asked: nil)) == 4)
        }
    }

    @Test func `each node has a level, and moves no other's subscriptions`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a", "b", "c")
            _ = try await nodes.first.claimSocket("a", asked: nil)
            _ = try await nodes.second.claimSocket("b", asked: nil)
            for (node, level) in [(nodes.first, Int64(5)), (nodes.second, 8)] {
                try await node.recordSocketPositions(
                    SocketPositions(level: level, levelled: ["a", "b"], own: ["c": 9]))
            }
            #expect(try await nodes.second.sharedSockets().map(\.socket.position) == [5, 8, 1])
            #expect(try await nodes.first.socketSubscriptions().map(\.position) == [5, 8, 1])
        }
    }

    // MARK: Windows

    @Test func `the window of one that waits begins when a node looks, and ends it for all`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a", "b")
            _ = try await nodes.first.claimSocket("b", asked: nil)
            #expect(try await nodes.second.expireSockets(window: 60_000) == [])
            #expect(granted(try await nodes.second.claimSocket("a", asked: nil)) == 1)
            try await nodes.second.releaseSockets(["a": 2])
            #expect(try await nodes.first.expireSockets(window: 60_000) == [])
            _ = try nodes.run("UPDATE tipwire.socket_subscriptions SET waits_until = waits_until - 60001")
            #expect(try await nodes.second.claimSocket("a", asked: nil) == .unknown)
            #expect(try await nodes.first.expireSockets(window: 60_000) == ["a"])
            #expect(try await nodes.second.sharedSockets().map(\.socket.subscription.id) == ["b"], "b has a socket")
        }
    }

    @Test func `windows begin anew for a node that comes when no other is there`() async throws {
        try await withStoreNodes { nodes in
            try await nodes.make("a")
            _ = try await nodes.first.expireSockets(window: 60_000)
            _ = try nodes.run("UPDATE tipwire.socket_subscriptions SET waits_until = waits_until - 60001")
            try await nodes.second.reopenSocketWindows()
            #expect(try await nodes.second.claimSocket("a", asked: nil) == .unknown, "the first is there")
            try await nodes.first.leave()
            try await nodes.second.reopenSocketWindows()
            #expect(granted(try await nodes.second.claimSocket("a", asked: nil)) == 1)
        }
    }

    // MARK: News

    @Test func `what passes between nodes is told to the others, and nothing else`() async throws {
        try await withStoreNodes { nodes in
            let told = { try nodes.run("SELECT sockets FROM tipwire.changes") }
            let before = try #require(Int64(try told()))
            try await nodes.make("a", "b")
            _ = try await nodes.first.claimSocket("a", asked: nil)
            _ = try await nodes.second.claimSocket("a", asked: nil)
            try await nodes.first.releaseSockets(["a": 2])
            try await nodes.first.deleteSocketSubscriptions(["b"])
            #expect(try told() == "\(before + 6)", "made twice, claimed, asked for, given back, deleted")
            _ = try await nodes.second.claimSocket("nobody", asked: nil)
            _ = try await nodes.first.expireSockets(window: 60_000)
            try await nodes.first.releaseSockets(["a": 3])
            try await nodes.first.keepSockets(["a"])
            #expect(try await nodes.first.holdSockets(["b"]) == [])
            #expect(try told() == "\(before + 6)")
        }
    }
}

extension StoreNodes {
    fileprivate func make(_ ids: String...) async throws {
        for id in ids {
            try await first.createSocketSubscription(
                StoredSocket(subscription: scene.subscription(id, key: "k1"), position: 1))
        }
    }

    fileprivate func found(_ id: String) async throws -> SharedSocket {
        try #require(try await second.sharedSockets().first { $0.socket.subscription.id == id })
    }
}
