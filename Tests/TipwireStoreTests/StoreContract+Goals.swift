import Testing
import TipwireCore
import TipwireStore

// MARK: - Goals

extension Scene {
    /// The answer to one command, or its refusal, thrown.
    @discardableResult
    fileprivate func one(_ command: LogCommand, at now: Timestamp = .zero) async throws -> LogAnswer {
        try await results([command], at: now)[0].get()[0]
    }

    fileprivate func goals(_ command: GoalCommand, key: String? = nil) -> LogCommand {
        .changeGoals(page: page.id, command, idempotencyKey: key.map { TipIdentifier($0)! })
    }

    fileprivate func refund(_ id: String, key: String? = nil) -> LogCommand {
        .refund(page: page.id, tip: TipIdentifier(id)!, idempotencyKey: key.map { TipIdentifier($0)! })
    }

    /// Goals "a", "b" and so on, of these amounts.
    fileprivate func makeGoals(_ amounts: Int...) async throws {
        for (name, amount) in zip(["a", "b", "c", "d"], amounts) {
            try await one(goals(.add(name, description: "Goal \(name)", amountInCents: amount)))
        }
    }

    fileprivate var progress: [Int] {
        get async throws { try await store.goals(page: page.id).goals.map(\.progressInCents) }
    }
}

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `a tip and what it does to goals stand together in the log`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeGoals(300, 400)
            let results = try await scene.results([
                scene.tip(draft(id: "x", 800)), scene.tip(draft(id: "y", 50), to: scene.other),
                scene.tip(draft(id: "z", 50)),
            ])
            let first = try results[0].get()[0]
            #expect(
                first.events.map(\.body.kind)
                    == [.tipReceived, .goalCompleted, .goalCompleted, .goalsChained, .goalQueueChanged])
            #expect(first.events.map(\.sequence) == [3, 4, 5, 6, 7] && first.lastSequence == 7)
            #expect(try results[1].get()[0].events.map(\.body.kind) == [.tipReceived])
            #expect(try results[2].get()[0].lastSequence == 9)
            #expect(try await scene.progress == [300, 400])
            #expect(try await scene.receive([draft(id: "x", 800)])[0].events == first.events)
            #expect(try await scene.store.goals(page: scene.other.id) == GoalQueue())
        }
    }

    @Test(arguments: StoreKind.all)
    func `a refused tip moves no goal, and a repeated one not again`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeGoals(1_000)
            try await scene.receive([draft(id: "x", 300)])
            let results = try await scene.results([
                scene.tip(draft(id: "x", 300)),
                .receive(
                    page: scene.page.id, drafts: [draft(id: "new", 500), draft(id: "x", 301)], idempotencyKey: nil),
            ])
            #expect(try results[0].get()[0].isRepeat)
            #expect(results[1].failure == .conflict(index: 1, field: .tipID))
            #expect(try await scene.progress == [300])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a refused change leaves its neighbours alone`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeGoals(100, 200)
            let results = try await scene.results([
                scene.goals(.remove("nobody")), scene.goals(.adjust("a", amountInCents: 40, reason: "r")),
                scene.goals(.reorder(["a"])), scene.goals(.reorder(["b", "a"])),
                .changeGoals(page: Page.ID(rawValue: 99), .remove("a"), idempotencyKey: nil),
            ])
            #expect(results[0].failure == .goal(.unknown) && results[4].failure == .unknownPage)
            guard case .goal(.staleOrder(let difference))? = results[2].failure else {
                Issue.record("an order that lacks a goal was taken")
                return
            }
            #expect(difference.added.map(\.id) == ["b"])
            #expect(try await scene.store.goals(page: scene.page.id).goals.map(\.id) == ["b", "a"])
            #expect(try await scene.progress == [0, 40])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a refund is answered as the first time, also when its events are gone`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeGoals(100, 1_000)
            try await scene.receive([draft(id: "x", 400)], at: .seconds(1))
            let first = try await scene.one(scene.refund("x"), at: .seconds(2))
            #expect(first.tip.refundedAt == .seconds(2) && !first.isRepeat)
            #expect(first.events.map(\.body.kind) == [.tipRefunded, .goalQueueChanged])
            #expect(try await scene.progress == [100, 0])
            let again = try await scene.one(scene.refund("x", key: "k"), at: .seconds(9))
            #expect(again.isRepeat && again.events == first.events && again.tip == first.tip)
            let replay = LogCommand.replay(page: scene.page.id, tip: TipIdentifier("x")!)
            #expect(try await scene.results([replay])[0].failure == .refunded)
            #expect(try await scene.results([scene.refund("nobody")])[0].failure == .unknownTip)
            #expect(try await scene.store.tip(page: scene.page.id, id: first.tip.id)?.tip == first.tip)
            #expect(try await scene.receive([draft(id: "x", 400)])[0].tip.refundedAt == nil)

            _ = try await scene.store.prune(olderThan: .seconds(100), keepingBytes: 0, limit: 100)
            let late = try await scene.one(scene.refund("x", key: "k"))
            #expect(late.isRepeat && late.events == [] && late.lastSequence == first.lastSequence)
        }
    }

    @Test(arguments: StoreKind.all)
    func `an adjustment with a key is made once`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeGoals(1_000)
            let adjust = scene.goals(.adjust("a", amountInCents: 400, reason: "é"), key: "k")
            let first = try await scene.one(adjust)
            #expect(
                first.subject
                    == .goal(
                        ListedGoal(
                            Goal(id: "a", description: "Goal a", amountInCents: 1_000, progressInCents: 400), .active)))
            try await scene.one(scene.goals(.adjust("a", amountInCents: 600, reason: "all")))
            let again = try await scene.one(adjust)
            #expect(again.isRepeat && again.subject == first.subject && again.events == first.events)
            // The same letter in another spelling is another reason.
            for other in [
                GoalCommand.adjust("a", amountInCents: 400, reason: "e\u{301}"),
                .adjust("a", amountInCents: 401, reason: "é"), .adjust("b", amountInCents: 400, reason: "é"),
            ] {
                let result = try await scene.results([scene.goals(other, key: "k")])[0]
                #expect(result.failure == .conflict(index: 0, field: .idempotencyKey))
            }
            #expect(try await scene.progress == [1_000])
        }
    }

    @Test(arguments: StoreKind.all)
    func `a page's idempotency key stands for one thing, whatever it is`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.makeGoals(1_000)
            try await scene.receive([draft(id: "x", 50)], key: "tip")
            try await scene.receive([draft(id: "y", 50)])
            try await scene.one(scene.goals(.adjust("a", amountInCents: 1, reason: "r"), key: "adjust"))
            try await scene.one(scene.refund("x", key: "refund"))
            let adjust = GoalCommand.adjust("a", amountInCents: 1, reason: "r")
            for command in [
                scene.goals(adjust, key: "tip"), scene.goals(adjust, key: "refund"), scene.refund("y", key: "tip"),
                scene.refund("y", key: "adjust"), scene.refund("y", key: "refund"),
                .receive(page: scene.page.id, drafts: [draft(50)], idempotencyKey: TipIdentifier("adjust")!),
                .receive(page: scene.page.id, drafts: [draft(50)], idempotencyKey: TipIdentifier("refund")!),
            ] {
                let result = try await scene.results([command])[0]
                #expect(result.failure == .conflict(index: 0, field: .idempotencyKey), "\(command)")
            }
            // Another page's keys are its own.
            try await scene.receive([draft()], key: "adjust", to: scene.other)
        }
    }

    @Test(arguments: StoreKind.all)
    func `goals outlive a restart, and go with their page`(kind: StoreKind) async throws {
        try await withFolder { folder in
            let opened = try await kind.open(folder)
            let scene = try await Scene(opened.store)
            try await scene.makeGoals(100, 200)
            try await scene.one(scene.goals(.reorder(["b", "a"])))
            try await scene.receive([draft(id: "x", 250)])
            let goals = try await scene.store.goals(page: scene.page.id)
            try await opened.close()
            let reopened = try await kind.open(folder)
            #expect(try await reopened.store.goals(page: scene.page.id) == goals)
            #expect(goals.goals.map(\.progressInCents) == [200, 50])
            try await reopened.store.deletePage(scene.page.id)
            #expect(try await reopened.store.goals(page: scene.page.id) == GoalQueue())
            try await reopened.close()
        }
    }

    @Test(arguments: StoreKind.all)
    func `a page with goals keeps its currency`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            var page = scene.page
            page.currency = Currency(code: "JPY")!
            try await scene.store.updatePage(page)
            page.currency = .usd
            try await scene.store.updatePage(page)
            try await scene.makeGoals(1_000)
            page.currency = Currency(code: "JPY")!
            let changed = page
            await #expect(throws: DirectoryRefusal.currencyInUse) { try await scene.store.updatePage(changed) }
        }
    }

    @Test(arguments: StoreKind.all)
    func `a tip to a page without goals, or with none open, is kept`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            #expect(try await scene.receive([draft(id: "x", 50)])[0].events.map(\.body.kind) == [.tipReceived])
            try await scene.makeGoals(100)
            try await scene.receive([draft(id: "y", 100)])
            let after = try await scene.receive([draft(id: "z", 100)])[0]
            #expect(after.events.map(\.body) == [.tipReceived(after.tip, goal: nil)])
        }
    }

    @Test(arguments: StoreKind.all)
    func `two spellings of one letter are two contents, inside a batch too`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let result = try await scene.results([
                .receive(
                    page: scene.page.id,
                    drafts: [draft(id: "x", message: "é"), draft(id: "x", message: "e\u{301}")], idempotencyKey: nil)
            ])[0]
            #expect(result.failure == .conflict(index: 1, field: .tipID))
        }
    }

    @Test(arguments: StoreKind.all)
    func `large events are removed a few at a time`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let ids = (0..<200).map { "goal-\($0)-" + String(repeating: "x", count: 40) }
            _ = try await scene.results(ids.map { scene.goals(.add($0, description: "G", amountInCents: 5)) })
            for _ in 0..<8 {
                _ = try await scene.results((0..<20).map { _ in scene.goals(.reorder(ids.shuffled())) })
            }
            let pruning = try await scene.store.prune(olderThan: .seconds(9), keepingBytes: 0, limit: 10_000)
            #expect(pruning.isPartial && pruning.removed < 360)
            while try await scene.store.prune(olderThan: .seconds(9), keepingBytes: 0, limit: 10_000).isPartial {}
            #expect(try await scene.store.logStatistics().events == 0)
        }
    }
}
