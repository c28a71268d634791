import Testing
import TipwireCore
import TipwireStore

// MARK: - EventSub sockets

extension Scene {
    fileprivate func makeKey(_ id: String = "k1") async throws {
        let key = APIKey.random()
        try await store.createKey(
            KeyRecord(
                id: id, prefix: key.prefix, hash: key.hash, name: "test", account: account.id, scopes: [.eventsub],
                pages: nil, createdAt: .zero, expiresAt: nil))
    }

    fileprivate func socket(
        _ id: String, key: String = "k1", page: Page? = nil, condition: EventSubCondition? = nil, position: Int64 = 0
    ) -> StoredSocket {
        StoredSocket(
            subscription: EventSubscription(
                id: id, page: (page ?? self.page).id, account: account.id, key: key, type: .alerts,
                condition: condition, createdAt: .zero),
            position: position)
    }

    /// Where positions are kept by whoever has a subscription, this node has them from here on.
    fileprivate func have(_ ids: [String]) async throws {
        guard let store = store as? any SharedSocketStore & NodeStore else { return }
        _ = try await store.beat(NodeReport(name: "n", version: "1", url: "http://n", startedAt: .zero))
        for id in ids { _ = try await store.claimSocket(id, asked: nil) }
    }

    fileprivate var positions: [String: Int64] {
        get async throws {
            let sockets = try await store.socketSubscriptions()
            return Dictionary(uniqueKeysWithValues: sockets.map { ($0.subscription.id, $0.position) })
        }
    }
}

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a socket subscription is kept as it is, until it is deleted`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeKey()
            let condition = EventSubCondition(minimumAmountInCents: 500, minimumAmount: "5")
            let sockets = [scene.socket("a", condition: condition, position: 7), scene.socket("b")]
            for socket in sockets { try await scene.store.createSocketSubscription(socket) }
            #expect(try await scene.store.socketSubscriptions() == sockets)
            try await scene.store.deleteSocketSubscriptions(["a", "nobody"])
            #expect(try await scene.store.socketSubscriptions() == [sockets[1]])
        }
    }

    @Test(arguments: StoreKind.all)
    func `those that are level share one position, the others have their own`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeKey()
            for id in ["a", "b", "c"] { try await scene.store.createSocketSubscription(scene.socket(id, position: 1)) }
            try await scene.have(["a", "b", "c"])
            try await scene.store.recordSocketPositions(SocketPositions(level: 5, levelled: ["a", "b"]))
            #expect(try await scene.positions == ["a": 5, "b": 5, "c": 1])
            try await scene.store.recordSocketPositions(SocketPositions(level: 9, own: ["b": 6, "gone": 3]))
            #expect(try await scene.positions == ["a": 9, "b": 6, "c": 1])
            try await scene.store.recordSocketPositions(SocketPositions(level: 11, levelled: ["b"]))
            #expect(try await scene.positions == ["a": 11, "b": 11, "c": 1])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a socket subscription goes with its key and its page, and needs both`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeKey("k1")
            try await scene.makeKey("k2")
            try await scene.store.createSocketSubscription(scene.socket("a", key: "k1"))
            try await scene.store.createSocketSubscription(scene.socket("b", key: "k2", page: scene.other))
            try await scene.store.createSocketSubscription(scene.socket("c", key: "k2"))
            _ = try await scene.store.deleteKey("k1")
            #expect(try await scene.positions.keys.sorted() == ["b", "c"])
            try await scene.store.deletePage(scene.other.id)
            #expect(try await scene.positions.keys.sorted() == ["c"])
            await #expect(throws: DirectoryRefusal.missingReference) {
                try await scene.store.createSocketSubscription(scene.socket("d", key: "k1"))
            }
        }
    }
}
