import Dispatch
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

/// What every store must do, whatever it is built on. Each test runs over each `StoreKind`.
@Suite struct StoreContract {}

extension LogStore {
    /// What a commit came to whose batch is taken when the store asks for it.
    func outcome(_ takeBatch: @escaping @Sendable () -> LogBatch) async -> Result<Commit, any Error> {
        await withCheckedContinuation { continuation in
            commit(takeBatch) { continuation.resume(returning: $0) }
        }
    }
}

// MARK: - Commits

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a new log is empty and has an epoch`(kind: StoreKind) async throws {
        try await withStore(kind) { store in
            let bounds = try await store.bounds()
            #expect(bounds.head == 0 && bounds.prunedThrough == 0)
            #expect(bounds.epoch.utf8.count == 8)
            #expect(try await store.logStatistics() == LogStatistics(events: 0, bytes: 0, oldest: nil))
        }
    }

    @Test(arguments: StoreKind.all)
    func `a tip is answered as it was kept`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let stated = Timestamp.seconds(-90)
            let sent = draft(id: "t-1", 1_234, fee: 56, name: "Zoë 🐈", message: "a\nb\u{2028}c", createdAt: stated)
            let answer = try await scene.receive([sent], at: .seconds(1))[0]
            let tip = Tip(
                id: TipIdentifier("t-1")!, displayName: "Zoë 🐈", message: "a\nb\u{2028}c", grossAmountInCents: 1_234,
                processingFeeInCents: 56, isAnonymous: false, createdAt: stated, processedAt: .seconds(1))
            let event = Event(
                sequence: 1, page: scene.page.id, time: .seconds(1), body: .tipReceived(tip, goal: nil))
            #expect(
                answer
                    == LogAnswer(
                        tip: tip, page: scene.page.label, events: [event], lastSequence: 1, isRepeat: false))
            #expect(try await scene.events() == [event])
            #expect(
                try await scene.store.tip(page: scene.page.id, id: tip.id) == StoredTip(tip: tip, sequence: 1))
        }
    }

    @Test(arguments: StoreKind.all)
    func `a tip without an id gets one and the commit's time`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let answers = try await scene.receive([draft(), draft(), draft(name: nil)], at: .seconds(5))
            #expect(Set(answers.map(\.tip.id)).count == 3)
            #expect(answers.allSatisfy { $0.tip.createdAt == .seconds(5) && $0.tip.processedAt == .seconds(5) })
            #expect(answers[2].tip.isAnonymous && answers[2].tip.displayName == "")
            #expect(answers.map(\.lastSequence) == [1, 2, 3])
        }
    }

    @Test(arguments: StoreKind.all)
    func `sequences have no gap, over pages, batches and refusals`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "a")])
            let results = try await scene.results([
                scene.tip(draft(id: "b")),
                // Refused as a whole: of its three drafts, two are new.
                .receive(
                    page: scene.page.id, drafts: [draft(id: "c"), draft(id: "a", 999), draft(id: "d")],
                    idempotencyKey: nil),
                .receive(page: Page.ID(rawValue: 4_711), drafts: [draft()], idempotencyKey: nil),
                .replay(page: scene.page.id, tip: TipIdentifier("nobody")!),
                scene.tip(draft(id: "a"), to: scene.other),
                .replay(page: scene.page.id, tip: TipIdentifier("b")!),
            ])
            #expect(results[1].failure == .conflict(index: 1, field: .tipID))
            #expect(results[2].failure == .unknownPage)
            #expect(results[3].failure == .unknownTip)
            #expect(try results[4].get()[0].lastSequence == 3)
            let events = try await scene.events()
            #expect(events.map(\.sequence) == [1, 2, 3, 4])
            #expect(events.map(\.page) == [scene.page, scene.page, scene.other, scene.page].map(\.id))
            #expect(events[3].body == .tipReplayed(try results[0].get()[0].tip))
            #expect(try await scene.store.tip(page: scene.page.id, id: TipIdentifier("c")!) == nil)
            #expect(try await scene.store.tip(page: scene.page.id, id: TipIdentifier("d")!) == nil)
            #expect(try await scene.store.bounds().head == 4)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a batch of any length is kept whole and in order`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            var kept: [Event] = []
            for count in [1, 3, 4, 5, 15, 16, 17, 21, 36, 100] {
                let tips = (1...count).map { draft(500 + $0, name: $0 % 2 == 0 ? nil : "Ann \($0)", message: "\($0)") }
                let answers = try await scene.receive(tips, at: .seconds(Int64(count)))
                #expect(answers.map(\.tip.message) == tips.map(\.message))
                kept += answers.flatMap(\.events)
                for answer in [answers[0], answers[count / 2], answers[count - 1]] {
                    let stored = try await scene.store.tip(page: scene.page.id, id: answer.tip.id)
                    #expect(stored == StoredTip(tip: answer.tip, sequence: answer.lastSequence))
                }
            }
            #expect(try await scene.events() == kept)
            #expect(kept.map(\.sequence) == Array(1...218))
        }
    }

    @Test(arguments: StoreKind.all)
    func `a commit says where the log stands after it`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let commit = try await scene.store.commit([scene.tip(draft()), scene.tip(draft())], at: .zero)
            #expect(commit.bounds.head == 2)
            #expect(try await scene.store.bounds() == commit.bounds)
            #expect(try await scene.store.commit([], at: .zero).bounds == commit.bounds)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a batch is taken once, and not before what is ahead of it is done`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let store = scene.store
            let (begun, hasBegun) = AsyncStream<Void>.makeStream()
            let release = DispatchSemaphore(value: 0)
            async let first = store.outcome {
                hasBegun.finish()
                release.wait()
                return LogBatch([scene.tip(draft(id: "first"))], at: .seconds(1))
            }
            for await _ in begun {}
            let takes = Watched(0)
            let (answers, answered) = AsyncStream<Result<Commit, any Error>>.makeStream()
            store.commit({
                takes.change { $0 += 1 }
                return LogBatch([scene.tip(draft(id: "second")), scene.tip(draft(id: "third"))], at: .seconds(2))
            }) { answered.yield($0) }
            #expect(takes.value == 0)
            release.signal()
            #expect(try await first.get().bounds.head == 1)
            var outcomes = answers.makeAsyncIterator()
            let second = try #require(await outcomes.next()).get()
            #expect(second.bounds.head == 3 && second.results.count == 2)
            #expect(takes.value == 1)
            #expect(try await scene.events().map(\.time) == [.seconds(1), .seconds(2), .seconds(2)])
        }
    }

    @Test(arguments: StoreKind.all)
    func `the log's time never goes back`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft()], at: .seconds(100))
            let late = try await scene.receive([draft()], at: .seconds(40))[0]
            #expect(late.tip.processedAt == .seconds(100))
            try await scene.receive([draft()], at: .seconds(101))
            #expect(try await scene.events().map(\.time) == [.seconds(100), .seconds(100), .seconds(101)])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a replay changes nothing but the log`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let tip = try await scene.receive([draft(id: "a")], at: .seconds(1))[0].tip
            let replay = try await scene.results([.replay(page: scene.page.id, tip: tip.id)], at: .seconds(9))[0].get()
            let event = Event(sequence: 2, page: scene.page.id, time: .seconds(9), body: .tipReplayed(tip))
            #expect(
                replay == [
                    LogAnswer(tip: tip, page: scene.page.label, events: [event], lastSequence: 2, isRepeat: false)
                ])
            #expect(try await scene.store.tips(page: scene.page.id, before: nil, limit: 10).map(\.sequence) == [1])
            #expect(
                try await scene.results([.replay(page: scene.other.id, tip: tip.id)])[0].failure == .unknownTip)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a caller that goes away undoes nothing`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let commit = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await scene.receive([draft(id: "a")])
            }
            let answers = try await commit.value
            #expect(answers.map(\.lastSequence) == [1])
            let events = try await scene.events()
            #expect(events.count == 1)
        }
    }
}
