import Testing
import TipwireCore
import TipwireTestSupport

@Suite("Goals, whatever happens")
struct GoalPropertyTests {
    /// A page's life at random: few goals of small amounts, so that chains, exact hits and refusals are common.
    private struct Life {
        var random = TestSeed()
        var reducer = PageReducer()
        var log: [EventBody] = []
        /// The queue before each event of the log that begins a command.
        var states: [(events: Int, queue: GoalQueue)] = []
        var tips: [(tip: Tip, credits: [GoalCredit])] = []
        /// What each goal was given and has lost since, told without the queue: its progress, unless an edit cut it.
        var ledger: [Goal.ID: Int] = [:]
        var made = 0

        mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

        mutating func anyGoal() -> Goal.ID {
            number(1...12) == 1 ? "nobody" : reducer.queue.goals.randomElement(using: &random)?.id ?? "nobody"
        }

        mutating func command() -> GoalCommand {
            made += 1
            switch number(1...10) {
            case 1...3: return .add("g\(made)", description: "Goal \(made)", amountInCents: number(1...300))
            case 4...5:
                return .edit(
                    anyGoal(), description: number(1...2) == 1 ? "New \(made)" : nil,
                    amountInCents: number(1...3) == 1 ? nil : number(1...400))
            case 6: return .remove(anyGoal())
            case 7...8:
                var order = reducer.queue.goals.filter { !$0.isCompleted }.map(\.id)
                order.shuffle(using: &random)
                if number(1...6) == 1 { order.append(anyGoal()) }
                return .reorder(order)
            default: return .adjust(anyGoal(), amountInCents: number(-200...200), reason: "reason \(made)")
            }
        }
    }

    @Test("Money is conserved, no goal is over its target, and the log leads to the same goals from every point")
    func everything() throws {
        for _ in 0..<60 {
            var life = Life()
            for _ in 0..<120 { try step(&life) }
            for (events, queue) in life.states {
                var replay = GoalReplay(from: queue)
                for body in life.log[events...] { try replay.apply(body) }
                try replay.finish()
                #expect(replay.queue == life.reducer.queue, "\(life.random)")
            }
        }
    }

    private func step(_ life: inout Life) throws {
        let before = life.reducer.queue
        life.states.append((life.log.count, before))
        switch life.number(1...10) {
        case 1...5: receive(&life, before)
        case 6 where !life.tips.isEmpty: refund(&life, before)
        default: change(&life, before)
        }
        for goal in life.reducer.queue.goals {
            #expect((0...goal.amountInCents).contains(goal.progressInCents), "\(life.random)")
            #expect(goal.progressInCents == life.ledger[goal.id, default: 0], "\(life.random)")
            if let old = before.goals.first(where: { $0.id == goal.id }), old.isCompleted {
                #expect(goal.progressInCents == old.progressInCents && goal.isCompleted, "\(life.random)")
            }
        }
        let completed = before.goals.indices.filter { before.goals[$0].isCompleted }
        if before.goals.count == life.reducer.queue.goals.count {
            for index in completed {
                #expect(life.reducer.queue.goals[index].id == before.goals[index].id, "\(life.random)")
            }
        }
    }

    private func receive(_ life: inout Life, _ before: GoalQueue) {
        let cents = life.number(1...700)
        let tip = Tip(
            id: TipIdentifier("t\(life.log.count)")!, displayName: "Ada", message: "", grossAmountInCents: cents,
            processingFeeInCents: 0, isAnonymous: false, createdAt: noon, processedAt: noon)
        let (events, credits) = life.reducer.receive(tip)
        for credit in credits { life.ledger[credit.goal, default: 0] += credit.amountInCents }
        life.tips.append((tip, credits))
        life.log += events

        var left = cents
        let completions = events.compactMap { if case .goalCompleted(let completion) = $0 { completion } else { nil } }
        for completion in completions {
            let goal = before.goals.first { $0.id == completion.goal }!
            left -= goal.missingInCents
            #expect(
                completion.overflowInCents == left && completion.targetInCents == goal.amountInCents, "\(life.random)")
        }
        let given = credits.reduce(0) { $0 + $1.amountInCents }
        let open = before.goals.reduce(0) { $0 + $1.missingInCents }
        #expect(given == min(cents, open), "all that the goals could take, and no more; \(life.random)")
        #expect(completions.map(\.chainIndex) == Array(0..<completions.count), "\(life.random)")
        #expect(completions.allSatisfy { $0.chainTotal == completions.count }, "\(life.random)")
        #expect(
            events.map(\.kind)
                == [.tipReceived] + completions.map { _ in .goalCompleted }
                + (completions.count > 1 ? [.goalsChained] : [])
                + (completions.isEmpty ? [] : [.goalQueueChanged]), "\(life.random)")
        if case .goalQueueChanged(let status, .tip(_, let surplus))? = events.last {
            #expect(surplus == cents - given && status == life.reducer.queue.status, "\(life.random)")
        }
    }

    private func refund(_ life: inout Life, _ before: GoalQueue) {
        let index = life.number(0...life.tips.count - 1)
        let (tip, credits) = life.tips.remove(at: index)
        let events = life.reducer.refund(tip, credits: credits)
        life.log += events
        var taken = 0
        for credit in credits {
            guard let goal = before.goals.first(where: { $0.id == credit.goal }), !goal.isCompleted else { continue }
            let loss = min(credit.amountInCents, goal.progressInCents)
            life.ledger[goal.id]! -= loss
            taken += loss
        }
        #expect(
            events.map(\.kind) == (taken > 0 ? [.tipRefunded, .goalQueueChanged] : [.tipRefunded]), "\(life.random)")
    }

    private func change(_ life: inout Life, _ before: GoalQueue) {
        let command = life.command()
        do {
            life.log += try life.reducer.change(command)
        } catch {
            #expect(life.reducer.queue == before, "\(life.random)")
            return
        }
        switch command {
        case .adjust(let id, let amount, _): life.ledger[id, default: 0] += amount
        case .edit(let id, _, let amount?):
            life.ledger[id] = min(life.ledger[id, default: 0], amount)
        case .remove(let id): life.ledger[id] = nil
        case .add, .edit, .reorder: break
        }
    }
}
