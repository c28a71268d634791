import Foundation
import GRDB
import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireStore

// MARK: - Random histories

extension StoreContract {
    /// Seeds that are always run, then a new one each time. `TIPWIRE_SEED=n` runs that one alone.
    static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["TIPWIRE_SEED"].flatMap(UInt64.init).map { [$0] }
        ?? [1, 2, 3, UInt64.random(in: 4 ... .max)]

    @Test(arguments: StoreKind.all, seeds)
    func `a random history is that of the model`(kind: StoreKind, seed: UInt64) async throws {
        print("random history on \(kind.testDescription): TIPWIRE_SEED=\(seed)")
        try await withStore(kind) { store in
            let scene = try await Scene(store)
            let third = try await store.createPage(.named("birds", owner: scene.account))
            var history = RandomHistory(seed: seed, pages: [scene.page, scene.other, third])
            for step in 0..<150 {
                try await history.step(step, on: store)
                try await history.compare(with: store, "seed \(seed), step \(step)")
                if step % 10 == 0, let path = (store as? SQLiteStore)?.pool.path {
                    #expect(try SQLiteStore.audit(at: path).problems == [], "seed \(seed), step \(step)")
                }
            }
        }
    }
}

private struct RandomHistory {
    private var random: TestSeed
    private var model: LogModel
    private var pages: [Page.ID]
    private var now = Timestamp.zero

    init(seed: UInt64, pages: [Page]) {
        random = TestSeed(seed: seed)
        model = LogModel(pages: pages)
        // One that never existed too.
        self.pages = pages.map(\.id) + [Page.ID(rawValue: 1_000_000)]
    }

    mutating func step(_ step: Int, on store: any Store) async throws {
        // Mostly forwards, now and then back.
        now = now.advanced(milliseconds: Int64(number(-2_000...10_000)))
        switch number(1...100) {
        case ...85: try await commit(on: store, "step \(step)")
        case ...98:
            let horizon = now.advanced(milliseconds: -Int64(number(0...200_000)))
            let bytes = Int64(number(0...60_000))
            let limit = number(1...20)
            let pruning = try await store.prune(olderThan: horizon, keepingBytes: bytes, limit: limit)
            #expect(pruning == model.prune(olderThan: horizon, keepingBytes: bytes, limit: limit), "step \(step)")
        default:
            guard model.pages.count > 1 else { return }
            let page = pages.randomElement(using: &random)!
            try await store.deletePage(page)
            model.delete(page)
        }
    }

    private mutating func commit(on store: any Store, _ place: String) async throws {
        // Now and then enough for several groups of rows.
        let commands = (0..<(number(1...12) == 1 ? number(20...60) : number(1...6))).map { _ in command() }
        let commit = try await store.commit(commands, at: now)
        let head = model.head
        for (command, result) in zip(commands, commit.results) {
            let answers = try? result.get()
            let expected = model.apply(command, at: now) { answers?[$0].tip.id ?? TipIdentifier("refused-\($0)")! }
            #expect(result.failure == expected.failure, "\(place): \(command)")
            #expect(answers == (try? expected.get()), "\(place): \(command)")
        }
        model.endCommit(at: now, from: head)
        #expect(commit.bounds.head == model.head, "\(place)")
    }

    mutating func compare(with store: any Store, _ place: String) async throws {
        let bounds = try await store.bounds()
        #expect(bounds.head == model.head && bounds.prunedThrough == model.prunedThrough, "\(place)")
        #expect(try await store.logStatistics() == model.statistics, "\(place)")

        let wanted = Set(pages.filter { _ in random.next() % 2 == 0 })
        let selection = random.next() % 3 == 0 ? PageSelection.all : .some(wanted)
        let start = Int64(number(0...Int(model.head)))
        let limit = number(1...12)
        var position = start
        var events: [Event] = []
        repeat {
            let slice = try await store.events(after: position, pages: selection, limit: limit)
            #expect(slice.events.count <= limit && slice.through >= position, "\(place)")
            events += slice.events
            position = slice.through
        } while position < model.head
        #expect(events == model.events(selection, after: start), "\(place)")

        let page = pages.randomElement(using: &random)!
        #expect(try await store.goals(page: page) == model.goals(page), "\(place)")
        let tips = model.tips(page)
        #expect(try await store.tips(page: page, before: nil, limit: 1_000) == tips, "\(place)")
        if let tip = tips.randomElement(using: &random) {
            #expect(try await store.tip(page: page, id: tip.tip.id) == tip, "\(place)")
        }
    }

    /// Few ids, keys and contents, so that they meet.
    private mutating func command() -> LogCommand {
        let page = pages.randomElement(using: &random)!
        let id = TipIdentifier("t\(number(1...20))")!
        let key = TipIdentifier("k\(number(1...12))")!
        switch number(1...14) {
        case 1...2: return .replay(page: page, tip: id)
        case 3...5: return .receive(page: page, drafts: [draft()], idempotencyKey: key)
        case 6: return .refund(page: page, tip: id, idempotencyKey: number(1...3) == 1 ? key : nil)
        case 7...10: return change(of: page, key: key)
        default: return .receive(page: page, drafts: (0..<number(0...5)).map { _ in draft() }, idempotencyKey: nil)
        }
    }

    private mutating func change(of page: Page.ID, key: TipIdentifier) -> LogCommand {
        let goals = model.goals(page).goals
        let goal = number(1...10) == 1 ? "nobody" : goals.randomElement(using: &random)?.id ?? "nobody"
        switch number(1...8) {
        case 1...3:
            return .changeGoals(
                page: page, .add("g\(number(1...1_000_000))", description: "Goal ä", amountInCents: number(1...1_500)),
                idempotencyKey: nil)
        case 4:
            return .changeGoals(
                page: page, .edit(goal, description: "New", amountInCents: number(1...1_500)), idempotencyKey: nil)
        case 5: return .changeGoals(page: page, .remove(goal), idempotencyKey: nil)
        case 6:
            let open = goals.filter { !$0.isCompleted }.map(\.id).shuffled(using: &random)
            return .changeGoals(page: page, .reorder(open), idempotencyKey: nil)
        default:
            return .changeGoals(
                page: page, .adjust(goal, amountInCents: number(-2...2) * 100, reason: "r"),
                idempotencyKey: number(1...2) == 1 ? key : nil)
        }
    }

    private mutating func draft() -> TipDraft {
        TipwireStoreTests.draft(
            id: number(1...3) == 1 ? nil : "t\(number(1...20))", number(1...10) == 1 ? 501 : 500,
            name: number(1...12) == 1 ? nil : "Ann", message: number(1...12) == 1 ? "ä🐈" : "hi",
            createdAt: number(1...15) == 1 ? .zero : nil)
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
}
