import Testing
import TipwireCore

@testable import tipwire

@Suite struct GoalTextTests {
    private static let goals = [
        GoalObject(
            id: "g1", description: "New microphone", amountInCents: 2_000, progressInCents: 2_000, state: "completed"),
        GoalObject(
            id: "g2", description: "日本\u{1B}[2J", amountInCents: 5_000, progressInCents: 1_620, state: "active"),
        GoalObject(id: "g3", description: "Lights", amountInCents: 10_000, progressInCents: 0, state: "queued"),
    ]

    @Test("The queue is a table with a bar for each goal; only goals that can be moved have a place")
    func table() {
        #expect(
            GoalText(currency: .usd, style: .blocks).table(Self.goals) == """
                PLACE  GOAL            PROGRESS                    AMOUNT            STATE      ID
                       New microphone  ████████████████████  100%  $20.00 of $20.00  completed  g1
                    1  日本\\u{1b}[2J   ██████▍░░░░░░░░░░░░░   32%  $16.20 of $50.00  active     g2
                    2  Lights          ░░░░░░░░░░░░░░░░░░░░    0%  $0.00 of $100.00  queued     g3

                """)
    }

    @Test("The ASCII table differs in its bars alone")
    func asciiTable() {
        let lines = GoalText(currency: .usd, style: .ascii).table(Self.goals).split(separator: "\n")
        #expect(lines[2] == "    1  日本\\u{1b}[2J   [######--------------]   32%  $16.20 of $50.00  active     g2")
    }

    @Test("A goal that is removed says what goes with it")
    func removal() throws {
        let (text, page) = (GoalText(currency: .usd), try #require(Slug("demo")))
        #expect(
            text.removal(of: "g2", Self.goals[1], from: page)
                == #""日本\u{1b}[2J" is removed from demo; its $16.20 go with it"#)
        #expect(text.removal(of: "g3", Self.goals[2], from: page) == #""Lights" is removed from demo"#)
        #expect(text.removal(of: "g\u{7}", nil, from: page) == #"goal g\u{7} is removed from demo"#)
    }

    @Test("One goal is one line, with amounts as its currency has them")
    func line() throws {
        let yen = GoalText(currency: try #require(Currency(code: "JPY")))
        #expect(yen.line(Self.goals[1]) == #""日本\u{1b}[2J" · 1620 JPY of 5000 JPY (32%) · active · goal g2"#)
    }
}
