import Testing
import TipwireCore
import TipwireStore

// MARK: - Slices

extension StoreContract {
    /// 3 to `page`, 2 to `other`, 3 to `page`, 1 to `third`, in this order.
    private func fill(_ scene: Scene) async throws -> Page {
        let third = try await scene.store.createPage(.named("third", owner: scene.account))
        try await scene.receive([draft(), draft(), draft()])
        try await scene.receive([draft(), draft()], to: scene.other)
        try await scene.receive([draft(), draft(), draft()])
        try await scene.receive([draft()], to: third)
        return third
    }

    @Test(arguments: StoreKind.all)
    func `a slice of the whole log`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            _ = try await fill(scene)
            let some = try await scene.store.events(after: 2, pages: .all, limit: 4)
            #expect(some.events.map(\.sequence) == [3, 4, 5, 6] && some.through == 6 && some.bounds.head == 9)
            let rest = try await scene.store.events(after: 6, pages: .all, limit: 4)
            #expect(rest.events.map(\.sequence) == [7, 8, 9] && rest.through == 9)
            let none = try await scene.store.events(after: 9, pages: .all, limit: 4)
            #expect(none.events.isEmpty && none.through == 9)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a slice of one page`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            _ = try await fill(scene)
            let some = try await scene.store.events(after: 1, pages: .some([scene.page.id]), limit: 3)
            #expect(some.events.map(\.sequence) == [2, 3, 6] && some.through == 6)
            let rest = try await scene.store.events(after: 6, pages: .some([scene.page.id]), limit: 3)
            // Nothing of the page is at 9, but the log was read to there.
            #expect(rest.events.map(\.sequence) == [7, 8] && rest.through == 9)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a slice of several pages`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let third = try await fill(scene)
            let pages = PageSelection.some([scene.other.id, third.id])
            let some = try await scene.store.events(after: 0, pages: pages, limit: 2)
            #expect(some.events.map(\.sequence) == [4, 5] && some.through == 5)
            let rest = try await scene.store.events(after: 5, pages: pages, limit: 2)
            #expect(rest.events.map(\.sequence) == [9] && rest.through == 9)
            #expect(try await scene.events(pages, limit: 1).map(\.sequence) == [4, 5, 9])
        }
    }

    @Test(arguments: StoreKind.all)
    func `no pages and unknown pages have no events, and move on to the head`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            _ = try await fill(scene)
            for pages: Set<Page.ID> in [[], [Page.ID(rawValue: 99)], [Page.ID(rawValue: 98), Page.ID(rawValue: 99)]] {
                let slice = try await scene.store.events(after: 1, pages: .some(pages), limit: 2)
                #expect(slice.events.isEmpty && slice.through == 9)
            }
        }
    }

    @Test(arguments: StoreKind.all)
    func `several quiet pages are found beyond many entries of a busy one`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let third = try await scene.store.createPage(.named("third", owner: scene.account))
            try await scene.receive([draft()], to: scene.other)
            for _ in 0..<10 { try await scene.receive((0..<1_000).map { _ in draft() }) }
            try await scene.receive([draft()], to: third)
            #expect(
                try await scene.events(.some([scene.other.id, third.id])).map(\.sequence) == [1, 10_002])
        }
    }
}

// MARK: - Tips

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a page's tips come newest first`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            for (index, page) in [scene.page, scene.other, scene.page, scene.page].enumerated() {
                try await scene.receive([draft(id: "t\(index)")], to: page)
            }
            let first = try await scene.store.tips(page: scene.page.id, before: nil, limit: 2)
            #expect(first.map(\.tip.id.text) == ["t3", "t2"])
            let second = try await scene.store.tips(page: scene.page.id, before: first[1].sequence, limit: 2)
            #expect(second.map(\.tip.id.text) == ["t0"] && second[0].sequence == 1)
            #expect(try await scene.store.tips(page: scene.page.id, before: 1, limit: 2).isEmpty)
            #expect(try await scene.store.tip(page: scene.page.id, id: TipIdentifier("t1")!) == nil)
        }
    }
}

// MARK: - Retention

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `old entries go, in parts, and the tips stay`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            for second in 1...5 { try await scene.receive([draft()], at: .seconds(Int64(second))) }
            let store = scene.store
            #expect(try await store.logStatistics().oldest == .seconds(1))
            let first = try await store.prune(olderThan: .seconds(4), keepingBytes: .max, limit: 2)
            #expect(first == Pruning(removed: 2, isPartial: true))
            let second = try await store.prune(olderThan: .seconds(4), keepingBytes: .max, limit: 2)
            #expect(second == Pruning(removed: 1, isPartial: false))
            let third = try await store.prune(olderThan: .seconds(4), keepingBytes: .max, limit: 2)
            #expect(third == Pruning(removed: 0, isPartial: false))
            let bounds = try await store.bounds()
            #expect(bounds.prunedThrough == 3 && bounds.head == 5)
            let statistics = try await store.logStatistics()
            #expect(statistics.oldest == .seconds(4) && statistics.events == 2)
            let slice = try await store.events(after: 0, pages: .all, limit: 10)
            #expect(slice.events.map(\.sequence) == [4, 5] && slice.bounds == bounds)
            #expect(try await store.tips(page: scene.page.id, before: nil, limit: 10).count == 5)
        }
    }

    @Test(arguments: StoreKind.all)
    func `as many entries go as it takes to fit a size`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive((0..<10).map { draft(id: "tip-\($0)") })
            let store = scene.store
            let full = try await store.logStatistics()
            #expect(full.events == 10 && full.bytes % 10 == 0)
            let each = full.bytes / 10
            let fits = try await store.prune(olderThan: .zero, keepingBytes: full.bytes, limit: 10)
            #expect(fits == Pruning(removed: 0, isPartial: false))
            let pruned = try await store.prune(olderThan: .zero, keepingBytes: 7 * each - 1, limit: 100)
            #expect(pruned == Pruning(removed: 4, isPartial: false))
            #expect(try await store.logStatistics().bytes == 6 * each)
            let partly = try await store.prune(olderThan: .zero, keepingBytes: 0, limit: 5)
            #expect(partly == Pruning(removed: 5, isPartial: true))
            let all = try await store.prune(olderThan: .zero, keepingBytes: 0, limit: 1)
            #expect(all == Pruning(removed: 1, isPartial: false))
            #expect(try await store.logStatistics() == LogStatistics(events: 0, bytes: 0, oldest: nil))
        }
    }

    @Test(arguments: StoreKind.all)
    func `an emptied log goes on counting`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(), draft()])
            _ = try await scene.store.prune(olderThan: .seconds(1), keepingBytes: .max, limit: 10)
            let bounds = try await scene.store.bounds()
            #expect(bounds.head == 2 && bounds.prunedThrough == 2)
            #expect(try await scene.receive([draft()])[0].lastSequence == 3)
        }
    }
}
