import Testing
import TipwireCore
import TipwireStore

// MARK: - Writers and readers at once

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `readers see every sequence once and in order while writers commit`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let writers = 4
            let commits = 25
            let batch = 8
            let total = Int64(writers * commits * batch)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask {
                        for commit in 0..<commits {
                            let page = (writer + commit) % 2 == 0 ? scene.page : scene.other
                            // One command in each commit is refused, between others that are kept.
                            var commands = (0..<batch).map { _ in scene.tip(draft(), to: page) }
                            commands.insert(.replay(page: page.id, tip: TipIdentifier("none")!), at: batch / 2)
                            _ = try await scene.store.commit(commands, at: .zero)
                        }
                    }
                }
                for pages: PageSelection in [.all, .some([scene.page.id, scene.other.id])] {
                    group.addTask {
                        let seen = try await sequences(scene, pages, through: total)
                        #expect(seen == Array(1...total))
                    }
                }
                for page in [scene.page.id, scene.other.id] {
                    group.addTask {
                        let seen = try await sequences(scene, .some([page]), through: total)
                        let kept = try await scene.events(.some([page])).map(\.sequence)
                        #expect(seen == kept && seen.count == Int(total) / 2)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// What a reader sees that asks again and again from where it stands, until it stands at `end`.
    private func sequences(_ scene: Scene, _ pages: PageSelection, through end: Int64) async throws -> [Int64] {
        var seen: [Int64] = []
        var position: Int64 = 0
        while position < end {
            let slice = try await scene.store.events(after: position, pages: pages, limit: 7)
            #expect(slice.through >= position && slice.through <= slice.bounds.head)
            #expect(slice.events.allSatisfy { $0.sequence > position && $0.sequence <= slice.through })
            seen += slice.events.map(\.sequence)
            position = slice.through
        }
        return seen
    }

    @Test(arguments: StoreKind.all)
    func `of many who send one tip at once, one adds it`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let answers = try await withThrowingTaskGroup(of: LogAnswer.self) { group in
                for _ in 0..<16 { group.addTask { try await scene.receive([draft(id: "a")], key: "k")[0] } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.filter { !$0.isRepeat }.count == 1)
            #expect(Set(answers.map(\.lastSequence)) == [1])
            #expect(try await scene.store.bounds().head == 1)
        }
    }
}

// MARK: - Closing and opening again

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `what was kept is there after closing and opening`(kind: StoreKind) async throws {
        try await withFolder { folder in
            let first = try await kind.open(folder)
            let scene = try await Scene(first.store)
            let answer = try await scene.receive([draft(id: "a")], key: "k", at: .seconds(50))[0]
            try await scene.receive([draft()], to: scene.other, at: .seconds(50))
            _ = try await first.store.prune(olderThan: .seconds(51), keepingBytes: .max, limit: 1)
            let bounds = try await first.store.bounds()
            let statistics = try await first.store.logStatistics()
            let events = try await scene.events()
            try await first.close()

            let second = try await kind.open(folder)
            #expect(try await second.store.bounds() == bounds)
            #expect(try await second.store.logStatistics() == statistics)
            let slice = try await second.store.events(after: 0, pages: .all, limit: 10)
            #expect(slice.events == events && events.count == 1)
            #expect(try await second.store.directory().pages == [scene.page, scene.other])
            let commit = try await second.store.commit(
                [
                    .receive(page: scene.page.id, drafts: [draft()], idempotencyKey: TipIdentifier("k")!),
                    .receive(page: scene.page.id, drafts: [draft()], idempotencyKey: nil),
                ], at: .seconds(1))
            let results = try commit.results.map { try $0.get()[0] }
            #expect(results[0].isRepeat && results[0].tip == answer.tip)
            #expect(results[1].lastSequence == 3)
            #expect(results[1].tip.processedAt == .seconds(50), "the log's time went back over a restart")
            try await second.close()
        }
    }

    @Test(arguments: StoreKind.all)
    func `two stores have two epochs`(kind: StoreKind) async throws {
        let first = try await withStore(kind) { try await $0.bounds().epoch }
        let second = try await withStore(kind) { try await $0.bounds().epoch }
        #expect(first != second)
    }
}
