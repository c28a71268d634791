import Testing
import TipwireCore

@testable import tipwire

@Suite struct GoalOrderTests {
    private static let page = Slug("demo")!

    /// Goals named by letters; upper-case ones are completed.
    private static func goals(_ names: String) -> [GoalObject] {
        var isFirstOpen = true
        return names.map { name in
            let isCompleted = name.isUppercase
            defer { if !isCompleted { isFirstOpen = false } }
            return GoalObject(
                id: String(name), description: "", amountInCents: 10, progressInCents: isCompleted ? 10 : 0,
                state: isCompleted ? "completed" : isFirstOpen ? "active" : "queued")
        }
    }

    private static func moved(_ id: String, to place: GoalOrder.Place, in names: String) throws -> String {
        try GoalOrder.moving(id, to: place, in: goals(names), of: page).joined()
    }

    @Test(
        "One goal moves, the others keep their order",
        arguments: [
            ("a", GoalOrder.Place.number(1), "abcd"), ("a", .number(2), "bacd"), ("a", .number(4), "bcda"),
            ("d", .number(1), "dabc"), ("d", .number(3), "abdc"), ("b", .number(3), "acbd"), ("c", .first, "cabd"),
            ("a", .first, "abcd"), ("b", .last, "acdb"), ("d", .last, "abcd"),
        ])
    func order(_ id: String, _ place: GoalOrder.Place, _ expected: String) throws {
        #expect(try Self.moved(id, to: place, in: "abcd") == expected)
    }

    @Test("Completed goals have no place, wherever they stand, and aren't part of the order")
    func completed() throws {
        #expect(try Self.moved("c", to: .number(1), in: "XaYbcZ") == "cab")
        #expect(try Self.moved("a", to: .number(2), in: "XaYbcZ") == "bac")
        #expect(try Self.moved("a", to: .last, in: "XaYbcZ") == "bca")
        #expect(try Self.moved("a", to: .first, in: "Xa") == "a")
    }

    @Test("Every move is the same as taking the goal out and putting it in, for every queue and place")
    func exhaustive() throws {
        for names in ["a", "ab", "aBc", "AbCdEf", "abcdefg"] {
            let open = names.filter(\.isLowercase).map(String.init)
            for id in open {
                for place in 1...open.count {
                    let order = try GoalOrder.moving(id, to: .number(place), in: Self.goals(names), of: Self.page)
                    #expect(order[place - 1] == id)
                    #expect(order.filter { $0 != id } == open.filter { $0 != id })
                }
            }
        }
    }

    @Test(
        "What can't be moved is told why",
        arguments: [
            ("x", GoalOrder.Place.first, "page 'demo' has no goal 'x'; list its goals with: tipwire goal list demo"),
            ("B", .first, "goal 'B' is completed; completed goals keep their place"),
            ("a", .number(3), "there is no place 3: page 'demo' has 2 goals that are not completed"),
            ("a", .number(0), "there is no place 0: page 'demo' has 2 goals that are not completed"),
        ])
    func refused(_ id: String, _ place: GoalOrder.Place, _ words: String) {
        #expect(throws: Failure(words)) { try Self.moved(id, to: place, in: "aBc") }
    }
}
