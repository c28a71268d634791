import Testing
import TipwireCore

@Suite("Changes of a queue of goals")
struct GoalChangesTests {
    private func refusal(_ command: GoalCommand, of goals: [Goal]) -> GoalRefusal? {
        var queue = GoalQueue(goals)
        do {
            _ = try queue.apply(command)
            return nil
        } catch {
            #expect(queue.goals == goals, "a refused change leaves the queue as it was")
            return error
        }
    }

    private func changed(_ command: GoalCommand, _ goals: [Goal]) throws -> ([Goal], GoalChange) {
        var queue = GoalQueue(goals)
        let change = try queue.apply(command)
        return (queue.goals, change)
    }

    @Test("A goal is added at the end, and is active at once when no other is")
    func add() throws {
        let (goals, change) = try changed(.add("b", description: "Goal b", amountInCents: 9), [goal("a", 5, 5)])
        #expect(goals == [goal("a", 5, 5), goal("b", 0, 9)])
        #expect(change == .added("b", description: "Goal b", amountInCents: 9))
        #expect(GoalQueue(goals).status.active?.id == "b")
    }

    @Test("A full page takes no further goal, completed ones counted")
    func full() {
        let goals = (0..<Limits.goals).map { goal("\($0)", $0 % 2, 1) }
        #expect(refusal(.add("b", description: "b", amountInCents: 9), of: goals) == .full)
    }

    @Test("An edit changes what it names")
    func edit() throws {
        let before = [goal("a", 5, 10), goal("b", 0, 10)]
        let described = try changed(.edit("a", description: "New", amountInCents: nil), before)
        #expect(described.0[0] == Goal(id: "a", description: "New", amountInCents: 10, progressInCents: 5))
        #expect(described.1 == .edited("a", description: "New", amountInCents: nil, surplusInCents: 0))
        let raised = try changed(.edit("b", description: nil, amountInCents: 20), before)
        #expect(raised.0 == [goal("a", 5, 10), goal("b", 0, 20)])
        let nothing = try changed(.edit("b", description: nil, amountInCents: nil), before)
        #expect(nothing.0 == before)
    }

    @Test("An amount lowered to the progress completes the goal, and below it leaves a surplus that spills nowhere")
    func editThatCompletes() throws {
        let before = [goal("a", 5, 10), goal("b", 1, 10)]
        let exact = try changed(.edit("a", description: nil, amountInCents: 5), before)
        #expect(exact.0 == [goal("a", 5, 5), goal("b", 1, 10)])
        #expect(exact.1 == .edited("a", description: nil, amountInCents: 5, surplusInCents: 0))
        let below = try changed(.edit("a", description: nil, amountInCents: 2), before)
        #expect(below.0 == [goal("a", 2, 2), goal("b", 1, 10)])
        #expect(below.1 == .edited("a", description: nil, amountInCents: 2, surplusInCents: 3))
    }

    @Test("A completed goal keeps its amount; its description may change")
    func editOfCompleted() throws {
        let before = [goal("a", 5, 5)]
        #expect(refusal(.edit("a", description: nil, amountInCents: 6), of: before) == .amountIsFinal)
        #expect(refusal(.edit("a", description: "New", amountInCents: 4), of: before) == .amountIsFinal)
        let described = try changed(.edit("a", description: "New", amountInCents: 5), before)
        #expect(described.0 == [Goal(id: "a", description: "New", amountInCents: 5, progressInCents: 5)])
    }

    @Test("A removed goal is gone with its progress, a completed one too")
    func remove() throws {
        let before = [goal("a", 5, 5), goal("b", 3, 10), goal("c", 0, 10)]
        #expect(try changed(.remove("b"), before).0 == [goal("a", 5, 5), goal("c", 0, 10)])
        #expect(try changed(.remove("a"), before) == ([goal("b", 3, 10), goal("c", 0, 10)], .removed("a")))
    }

    @Test("An order moves what is open; progress stays, and completed goals keep their place")
    func reorder() throws {
        let before = [goal("x", 5, 5), goal("a", 1, 10), goal("y", 7, 7), goal("b", 2, 10), goal("c", 3, 10)]
        let (goals, change) = try changed(.reorder(["c", "a", "b"]), before)
        #expect(goals == [goal("x", 5, 5), goal("c", 3, 10), goal("y", 7, 7), goal("a", 1, 10), goal("b", 2, 10)])
        #expect(change == .reordered(["c", "a", "b"]))
        #expect(try changed(.reorder(["a", "b", "c"]), before).0 == before)
        #expect(try changed(.reorder([]), [goal("x", 5, 5)]).0 == [goal("x", 5, 5)])
    }

    @Test("An order that isn't of these goals is refused, and says what happened since")
    func staleOrder() {
        let before = [goal("x", 5, 5), goal("a", 1, 10), goal("b", 2, 10), goal("c", 3, 10)]
        let expected = OrderDifference(
            added: [goal("b", 2, 10), goal("c", 3, 10)], removed: ["gone"], completed: [goal("x", 5, 5)],
            repeated: ["a"])
        #expect(refusal(.reorder(["a", "gone", "x", "a", "a"]), of: before) == .staleOrder(expected))
        let short = OrderDifference(added: [goal("c", 3, 10)], removed: [], completed: [], repeated: [])
        #expect(refusal(.reorder(["a", "b"]), of: before) == .staleOrder(short))
    }

    @Test("An adjustment moves the progress, from nothing to the whole amount and not beyond")
    func adjust() throws {
        let before = [goal("a", 5, 10), goal("b", 4, 10)]
        let up = try changed(.adjust("a", amountInCents: 4, reason: "cash"), before)
        #expect(up == ([goal("a", 9, 10), goal("b", 4, 10)], .adjusted("a", amountInCents: 4, reason: "cash")))
        #expect(try changed(.adjust("a", amountInCents: -5, reason: "r"), before).0[0] == goal("a", 0, 10))
        #expect(
            try changed(.adjust("a", amountInCents: 5, reason: "r"), before).0 == [goal("a", 10, 10), goal("b", 4, 10)])
        for amount in [-6, 6, Limits.goalAmountInCents.upperBound, -Limits.goalAmountInCents.upperBound] {
            #expect(
                refusal(.adjust("a", amountInCents: amount, reason: "r"), of: before) == .outOfRange(before[0]))
        }
    }

    @Test("A completed goal can't be adjusted")
    func adjustCompleted() {
        #expect(refusal(.adjust("a", amountInCents: -1, reason: "r"), of: [goal("a", 5, 5)]) == .progressIsFinal)
    }

    @Test("A goal that isn't there can't be changed")
    func unknown() {
        let commands: [GoalCommand] = [
            .edit("z", description: "d", amountInCents: 1), .remove("z"), .adjust("z", amountInCents: 1, reason: "r"),
        ]
        for command in commands { #expect(refusal(command, of: [goal("a", 0, 5)]) == .unknown) }
    }
}
