import ServiceLifecycle
import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireHub

@Suite("TipIntake", .timeLimit(.minutes(1)))
struct TipIntakeTests {
    /// An intake over a store whose commits wait at `gate`.
    private struct Intake: Sendable {
        let store: StoreDouble
        let gate = Gate(isOpen: true)
        let clock = TestClock()
        let metrics = HubMetrics()
        let listener: WakeUp.Listener
        let position: LogPosition
        let intake: TipIntake
        let page: Page

        init(store: StoreDouble, maxPending: Int) async throws {
            self.store = store
            let account = try await store.createAccount(
                NewAccount(name: Slug("olivia")!, passwordHash: nil, createdAt: noon))
            page = try await store.createPage(
                NewPage(
                    slug: Slug("page")!, title: "Page", customURL: nil, currency: .usd, owner: account.id,
                    createdAt: noon))
            position = LogPosition(try await store.bounds())
            let wakeUp = WakeUp()
            listener = wakeUp.listen()
            intake = TipIntake(
                store: store, position: position, wakeUp: wakeUp, clock: clock.wall, maxPending: maxPending,
                metrics: metrics, logger: silence)
            let gate = gate
            store.hook { $0.beforeCommit = { _ in try await gate.pass() } }
        }

        func submit(_ drafts: [TipDraft], key: String? = nil) async throws -> [LogAnswer] {
            try await intake.submit(
                .receive(page: page.id, drafts: drafts, idempotencyKey: key.flatMap(TipIdentifier.init)))
        }

        func submit(_ amounts: ClosedRange<Int>) async throws -> [LogAnswer] {
            try await submit(amounts.map { try draft($0) })
        }

        /// Submits in a task of `group`, and returns when it waits in the intake.
        func queue(
            _ amounts: ClosedRange<Int>, in group: inout ThrowingTaskGroup<Result<[Int], IntakeRefusal>, any Error>
        ) async throws {
            let before = intake.pending
            group.addTask {
                do {
                    return .success(try await submit(amounts).map(\.tip.grossAmountInCents))
                } catch let refusal as IntakeRefusal {
                    return .failure(refusal)
                }
            }
            try await until { intake.pending == before + amounts.count }
        }

        /// The sizes, in commands, of the batches that the store was given.
        var batches: [Int] { store.batches.value.map(\.count) }
    }

    private typealias Answers = ThrowingTaskGroup<Result<[Int], IntakeRefusal>, any Error>

    private func withIntake(
        maxPending: Int = 10_000, _ body: @Sendable (Intake, ServiceGroup) async throws -> Void
    ) async throws {
        try await withStore { store in
            let intake = try await Intake(store: store, maxPending: maxPending)
            try await withServices([intake.intake]) { group in try await body(intake, group) }
        }
    }

    /// Holds a first commit up, so that whatever is queued next waits for the one after.
    private func withHeldCommit(
        _ intake: Intake, _ body: @Sendable (inout Answers) async throws -> Void
    ) async throws -> [Result<[Int], IntakeRefusal>] {
        intake.gate.close()
        return try await withThrowingTaskGroup(of: Result<[Int], IntakeRefusal>.self) { group in
            let arrivals = intake.gate.arrivals
            group.addTask { .success(try await intake.submit(1...1).map(\.tip.grossAmountInCents)) }
            try await intake.gate.arrived(arrivals + 1)
            do { try await body(&group) } catch {
                intake.gate.open()
                throw error
            }
            intake.gate.open()
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func amounts(_ answers: [Result<[Int], IntakeRefusal>]) -> Set<[Int]> {
        Set(answers.compactMap { try? $0.get() })
    }

    @Test("Whatever comes while a commit runs is committed together, and each caller gets its own answer")
    func groupCommit() async throws {
        try await withIntake { intake, _ in
            let answers = try await withHeldCommit(intake) { group in
                for amount in 2...60 { try await intake.queue(amount...amount, in: &group) }
            }
            #expect(amounts(answers) == Set((1...60).map { [$0] }))
            #expect(intake.batches == [1, 59])
            #expect(intake.metrics.tipsAccepted.value == 60)
            #expect(intake.metrics.commitSeconds.reading.buckets.last == 2)
            #expect(intake.intake.pending == 0)
        }
    }

    @Test("Whatever comes before the store takes a batch goes along, the first too")
    func takenLate() async throws {
        try await withIntake { intake, _ in
            let busy = Gate(isOpen: false)
            intake.store.hook { $0.beforeTake = { try await busy.pass() } }
            let answers = try await withThrowingTaskGroup(of: Result<[Int], IntakeRefusal>.self) { group in
                defer { busy.open() }
                for amount in 1...20 { try await intake.queue(amount...amount, in: &group) }
                #expect(intake.intake.expectedCommit != nil)
                busy.open()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(amounts(answers) == Set((1...20).map { [$0] }))
            #expect(intake.batches == [20])
            #expect(intake.intake.expectedCommit == nil)
        }
    }

    @Test("A commit that can't begin refuses all that have waited for it, and none of them waits for a second one")
    func lockedOut() async throws {
        try await withIntake { intake, _ in
            let lock = Gate(isOpen: false)
            intake.store.hook {
                $0.beforeTake = {
                    try await lock.pass()
                    throw BrokenStore()
                }
            }
            let answers = try await withThrowingTaskGroup(of: Result<[Int], IntakeRefusal>.self) { group in
                defer { lock.open() }
                for _ in 1...3 { try await intake.queue(1...600, in: &group) }
                lock.open()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers == Array(repeating: .failure(.storeFailed), count: 3))
            #expect(intake.intake.pending == 0 && intake.batches == [])
            #expect(intake.metrics.commitFailures.value == 1)
            intake.store.hook { $0.beforeTake = nil }
            #expect(try await intake.submit(1...1).count == 1)
        }
    }

    @Test("A store that is closed takes no batch, and whoever waits for it is refused")
    func closedStore() async throws {
        try await withIntake { intake, _ in
            let store = intake.store.real
            let closed = TipIntake(
                store: store, position: intake.position, wakeUp: WakeUp(), clock: intake.clock.wall, maxPending: 10,
                metrics: intake.metrics, logger: silence)
            try await store.close()
            try await withServices([closed]) { _ in
                for _ in 1...2 {
                    await #expect(throws: IntakeRefusal.storeFailed) {
                        try await closed.submit(.replay(page: intake.page.id, tip: TipIdentifier("tip")!))
                    }
                    #expect(closed.pending == 0)
                    #expect(closed.expectedCommit == nil)
                }
            }
            #expect(intake.metrics.commitFailures.value == 2)
        }
    }

    @Test("Many callers at once share few commits")
    func concurrent() async throws {
        try await withIntake { intake, _ in
            try await withThrowingTaskGroup(of: (Int, LogAnswer).self) { group in
                for amount in 1...200 { group.addTask { (amount, try await intake.submit(amount...amount)[0]) } }
                var sequences: Set<Int64> = []
                for try await (amount, answer) in group {
                    #expect(answer.tip.grossAmountInCents == amount)
                    #expect(answer.events.count == 1)
                    sequences.insert(answer.lastSequence)
                }
                #expect(sequences == Set(1...200))
            }
            #expect(intake.batches.reduce(0, +) == 200)
            #expect(intake.batches.count < 100)
        }
    }

    @Test("A commit is bounded in tips; a command that is larger has one to itself")
    func commitWeight() async throws {
        try await withIntake { intake, _ in
            let answers = try await withHeldCommit(intake) { group in
                try await intake.queue(1...600, in: &group)
                try await intake.queue(1...424, in: &group)
                try await intake.queue(1...1, in: &group)
                try await intake.queue(1...1_025, in: &group)
                try await intake.queue(1...2, in: &group)
            }
            #expect(answers.count == 6)
            #expect(intake.batches == [1, 2, 1, 1, 1])
            #expect(intake.store.batches.value[1].map(\.weight) == [600, 424])
        }
    }

    @Test("A full intake refuses at once and stores nothing of it; what waits is untouched, and room is made again")
    func full() async throws {
        try await withIntake(maxPending: 10) { intake, _ in
            let answers = try await withHeldCommit(intake) { group in
                try await intake.queue(1...6, in: &group)
                await #expect(throws: IntakeRefusal.full) { try await intake.submit(1...5) }
                #expect(intake.intake.isAccepting)
                try await intake.queue(1...4, in: &group)
                #expect(!intake.intake.isAccepting)
                await #expect(throws: IntakeRefusal.full) { try await intake.submit(1...1) }
            }
            #expect(amounts(answers) == [[1], Array(1...6), Array(1...4)])
            #expect(try await intake.store.bounds().head == 11)
            #expect(intake.metrics.intakeRefused.value == 2)
            #expect(intake.intake.isAccepting)
            #expect(try await intake.submit(1...1).count == 1)
        }
    }

    @Test("When the store fails all of the batch are refused, nothing is kept, and the next batch is tried")
    func storeFailure() async throws {
        try await withIntake { intake, _ in
            let gate = intake.gate
            intake.store.hook {
                $0.beforeCommit = { commands in
                    try await gate.pass()
                    if commands.count == 3 { throw BrokenStore() }
                }
            }
            let answers = try await withHeldCommit(intake) { group in
                for _ in 0..<3 { try await intake.queue(7...7, in: &group) }
            }
            #expect(amounts(answers) == [[1]])
            #expect(answers.count { $0 == .failure(.storeFailed) } == 3)
            #expect(try await intake.store.bounds().head == 1)
            #expect(intake.position.bounds.head == 1)
            #expect(intake.metrics.commitFailures.value == 1)
            #expect(try await intake.submit(8...8)[0].lastSequence == 2)
        }
    }

    @Test(
        "A failed commit speaks against the next tip for a while, or until one succeeds; no tip is turned away for it")
    func accepting() async throws {
        try await withIntake { intake, _ in
            #expect(intake.intake.isAccepting)
            intake.store.hook { $0.beforeCommit = { _ in throw BrokenStore() } }
            for _ in 0..<2 { await #expect(throws: IntakeRefusal.storeFailed) { try await intake.submit(1...1) } }
            #expect(!intake.intake.isAccepting)
            intake.clock.advance(milliseconds: TipIntake.failureMilliseconds - 1)
            #expect(!intake.intake.isAccepting)
            intake.clock.advance(milliseconds: 1)
            #expect(intake.intake.isAccepting)
            await #expect(throws: IntakeRefusal.storeFailed) { try await intake.submit(1...1) }
            #expect(!intake.intake.isAccepting)
            intake.store.hook { $0.beforeCommit = nil }
            _ = try await intake.submit(1...1)
            #expect(intake.intake.isAccepting)
        }
    }

    @Test("What the log has a reason against is refused alone, its neighbours are kept")
    func refusals() async throws {
        try await withIntake { intake, _ in
            try await withThrowingTaskGroup(of: [LogAnswer].self) { group in
                intake.gate.close()
                group.addTask { try await intake.submit(1...1) }
                try await intake.gate.arrived()
                async let unknown = intake.intake.submit(
                    .receive(page: Page.ID(rawValue: 99), drafts: [draft()], idempotencyKey: nil))
                try await until { intake.intake.pending == 1 }
                group.addTask { try await intake.submit(2...2) }
                try await until { intake.intake.pending == 2 }
                intake.gate.open()
                do {
                    _ = try await unknown
                    Issue.record("a tip to no page was taken")
                } catch { #expect(error as? LogRefusal == .unknownPage) }
                #expect(try await group.reduce(0) { $0 + $1.count } == 2)
            }
            #expect(intake.batches == [1, 2])
        }
    }

    @Test("A commit is known to the position and the wake-up before its caller is answered; a repeat is no news")
    func news() async throws {
        try await withIntake { intake, _ in
            let first = try await intake.submit([draft(5, id: "a"), draft(6, id: "b"), draft(5, id: "a")])
            #expect(intake.position.bounds.head == 2)
            #expect(first.map(\.lastSequence) == [1, 2, 1])
            #expect(intake.listener.take(after: 0).map(\.sequence) == [1, 2])
            let repeats = intake.metrics.tipsRepeated.value
            let again = try await intake.submit([draft(5, id: "a")])
            #expect(again[0].isRepeat)
            #expect(intake.listener.take(after: 2).isEmpty)
            #expect(intake.metrics.tipsRepeated.value == repeats + 1)
        }
    }

    @Test("A tip that is in one command twice is counted as one")
    func countedOnce() async throws {
        try await withIntake { intake, _ in
            _ = try await intake.submit([draft(5, id: "a"), draft(5, id: "a")])
            #expect(intake.metrics.tipsAccepted.value == 1)
        }
    }

    @Test("A graceful shutdown answers what is in, and lets nothing more in")
    func gracefulShutdown() async throws {
        try await withIntake { intake, services in
            let answers = try await withHeldCommit(intake) { group in
                for amount in 2...5 { try await intake.queue(amount...amount, in: &group) }
                await services.triggerGracefulShutdown()
                try await until { !intake.intake.isAccepting }
                await #expect(throws: IntakeRefusal.closed) { try await intake.submit(9...9) }
            }
            #expect(amounts(answers) == Set((1...5).map { [$0] }))
            #expect(try await intake.store.bounds().head == 5)
        }
    }

    @Test("An intake whose task was cancelled refuses, for nobody would answer")
    func cancelled() async throws {
        try await withStore { store in
            let intake = try await Intake(store: store, maxPending: 10)
            let run = Task { try await intake.intake.run() }
            _ = try await intake.submit(1...1)
            run.cancel()
            try await run.value
            try #require(!intake.intake.isAccepting)
            await #expect(throws: IntakeRefusal.closed) { try await intake.submit(2...2) }
        }
    }

    @Test("What got in before the intake was cancelled is answered, though it never came to run")
    func cancelledBeforeRunning() async throws {
        try await withStore { store in
            let intake = try await Intake(store: store, maxPending: 10)
            async let answers = intake.submit(1...2)
            try await until { intake.intake.pending == 2 }
            let run = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await intake.intake.run()
            }
            try await run.value
            try #require(intake.intake.pending == 0)
            #expect(try await answers.map(\.lastSequence) == [1, 2])
        }
    }

    @Test("While something is committed, or waits for that, news is expected, in the time that the last commit took")
    func expectedCommit() async throws {
        try await withIntake { intake, _ in
            #expect(intake.intake.expectedCommit == nil)
            _ = try await withHeldCommit(intake) { group in
                #expect(intake.intake.expectedCommit == .zero, "there was none before")
                try await intake.queue(2...2, in: &group)
            }
            #expect(intake.intake.expectedCommit == nil)
            _ = try await withHeldCommit(intake) { _ in
                let expected = try #require(intake.intake.expectedCommit)
                #expect(expected > .zero && expected < .seconds(30))
            }
        }
    }

    @Test("A commit that fails has whoever waits for it look, and tells them nothing")
    func failureNudges() async throws {
        try await withIntake { intake, _ in
            let calls = Watched(0)
            intake.listener.call { calls.change { $0 += 1 } }
            intake.store.hook { $0.beforeCommit = { _ in throw BrokenStore() } }
            await #expect(throws: IntakeRefusal.storeFailed) { try await intake.submit(1...1) }
            #expect(calls.value == 1 && intake.intake.expectedCommit == nil)
            let news = intake.listener.takeAll()
            #expect(news.events.isEmpty && news.isWhole)
        }
    }
}
