import Testing
import TipwireCore
import TipwireStore

// MARK: - Repeats and conflicts

extension StoreContract {
    @Test(arguments: StoreKind.all)
    func `the same id and content again is the first answer and no event`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let first = try await scene.receive([draft(id: "a")], at: .seconds(1))[0]
            let again = try await scene.receive([draft(id: "a")], at: .seconds(60))[0]
            #expect(again == first.repeated)
            #expect(try await scene.store.bounds().head == 1)
            // The id belongs to the page: another page knows nothing of it.
            #expect(try await scene.receive([draft(id: "a")], to: scene.other)[0].isRepeat == false)
        }
    }

    @Test(
        arguments: StoreKind.all,
        [
            draft(id: "a", 501), draft(id: "a", fee: 21), draft(id: "a", name: "Bob"), draft(id: "a", name: nil),
            draft(id: "a", message: "other"), draft(id: "a", createdAt: .zero),
        ])
    func `the same id with other content is refused`(kind: StoreKind, other: TipDraft) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "a")])
            await #expect(throws: LogRefusal.conflict(index: 0, field: .tipID)) { try await scene.receive([other]) }
            #expect(try await scene.store.bounds().head == 1)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a stated time is part of the content`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "a", createdAt: .seconds(1))], at: .seconds(1))
            #expect(try await scene.receive([draft(id: "a", createdAt: .seconds(1))], at: .seconds(2))[0].isRepeat)
            // Not stated, though it would have come out as the same time.
            await #expect(throws: LogRefusal.conflict(index: 0, field: .tipID)) {
                try await scene.receive([draft(id: "a")], at: .seconds(1))
            }
        }
    }

    @Test(arguments: StoreKind.all)
    func `an idempotency key stands for its tip`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let first = try await scene.receive([draft()], key: "k")[0]
            #expect(try await scene.receive([draft()], key: "k")[0] == first.repeated)
            // Naming the id that the store made is no other content.
            #expect(try await scene.receive([draft(id: first.tip.id.text)], key: "k")[0] == first.repeated)
            for other in [draft(501), draft(id: "other")] {
                await #expect(throws: LogRefusal.conflict(index: 0, field: .idempotencyKey)) {
                    try await scene.receive([other], key: "k")
                }
            }
            #expect(try await scene.receive([draft(501)], key: "k", to: scene.other)[0].isRepeat == false)
            #expect(try await scene.store.bounds().head == 2)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a new key on a known id is a repeat, and is remembered`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let first = try await scene.receive([draft(id: "a")])[0]
            #expect(try await scene.receive([draft(id: "a")], key: "k")[0] == first.repeated)
            #expect(try await scene.receive([draft()], key: "k")[0] == first.repeated)
            #expect(try await scene.receive([draft(id: "a")], key: "k2")[0] == first.repeated)
            // The key is looked up first: it is the key that conflicts, though the id would too.
            await #expect(throws: LogRefusal.conflict(index: 0, field: .idempotencyKey)) {
                try await scene.receive([draft(id: "a", 501)], key: "k")
            }
            await #expect(throws: LogRefusal.conflict(index: 0, field: .tipID)) {
                try await scene.receive([draft(id: "a", 501)], key: "k3")
            }
            // A refused call leaves no key behind.
            #expect(try await scene.receive([draft(501)], key: "k3")[0].isRepeat == false)
        }
    }

    @Test(arguments: StoreKind.all)
    func `repeats within a command are answered as their first`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let old = try await scene.receive([draft(id: "old")])[0]
            let answers = try await scene.receive([
                draft(id: "a"), draft(id: "old"), draft(id: "a"), draft(id: "b"), draft(id: "old"),
            ])
            // The second `a` added nothing, but its tip is new with this command.
            #expect(answers.map(\.isRepeat) == [false, true, false, false, true])
            #expect(answers[2] == answers[0])
            #expect(answers[1] == old.repeated && answers[4] == old.repeated)
            #expect(answers.map(\.lastSequence) == [2, 1, 2, 3, 1])
            await #expect(throws: LogRefusal.conflict(index: 2, field: .tipID)) {
                try await scene.receive([draft(id: "c"), draft(id: "d"), draft(id: "c", 501)])
            }
            #expect(try await scene.store.bounds().head == 3)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a command sees the commands before it in its batch`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            let key = TipIdentifier("k")!
            func keyed(_ draft: TipDraft) -> LogCommand {
                .receive(page: scene.page.id, drafts: [draft], idempotencyKey: key)
            }
            let results = try await scene.results([
                scene.tip(draft(id: "a")), scene.tip(draft(id: "a")), scene.tip(draft(id: "a", 501)),
                keyed(draft(700)), keyed(draft(700)), keyed(draft(800)),
                .replay(page: scene.page.id, tip: TipIdentifier("a")!),
                scene.tip(draft(id: "b")), .refund(page: scene.page.id, tip: TipIdentifier("b")!, idempotencyKey: nil),
                .replay(page: scene.page.id, tip: TipIdentifier("b")!),
            ])
            #expect(try results[1].get() == [results[0].get()[0].repeated])
            #expect(results[2].failure == .conflict(index: 0, field: .tipID))
            #expect(try results[4].get() == [results[3].get()[0].repeated])
            #expect(results[5].failure == .conflict(index: 0, field: .idempotencyKey))
            #expect(try results[6].get()[0].lastSequence == 3)
            #expect(results[9].failure == .refunded)
            let refunded = try #require(try await scene.store.tip(page: scene.page.id, id: TipIdentifier("b")!))
            #expect(refunded.tip == (try results[8].get()[0].tip) && refunded.tip.refundedAt != nil)
        }
    }

    @Test(arguments: StoreKind.all)
    func `a repeat after pruning has its cursor but no events`(kind: StoreKind) async throws {
        try await withScene(kind) { scene in
            try await scene.receive([draft(id: "a"), draft(id: "b")], at: .seconds(1))
            _ = try await scene.store.prune(olderThan: .seconds(2), keepingBytes: .max, limit: 1)
            let answers = try await scene.receive([draft(id: "a"), draft(id: "b")], at: .seconds(3))
            #expect(answers.map(\.events.count) == [0, 1])
            #expect(answers.map(\.lastSequence) == [1, 2])
            #expect(answers.map(\.isRepeat) == [true, true])
            // The tip itself is still there to be replayed.
            let replay = try await scene.results([.replay(page: scene.page.id, tip: TipIdentifier("a")!)])[0].get()
            #expect(replay[0].lastSequence == 3)
        }
    }
}

extension LogAnswer {
    /// What a repeat of the call that got this answer gets.
    var repeated: LogAnswer {
        LogAnswer(tip: tip, page: page, events: events, lastSequence: lastSequence, isRepeat: true)
    }
}
