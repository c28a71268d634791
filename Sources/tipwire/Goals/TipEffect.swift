/// What a tip did to the goals, in words: as much as the answer to it tells.
struct TipEffect {
    let events: [TipAnswer.Event]
    let currency: String

    /// `completed "New microphone" · $3.00 to "Better lights"` for a tip that completed goals,
    /// `goal $5.00 of $20.00 (25%)` for one that completed none, since the answer doesn't name the goal then; nothing if
    /// there was no goal.
    var parts: [String] {
        let completed = events.compactMap(\.completion)
        if let last = completed.last {
            return ["completed " + completed.map { ListenedPage.quoted($0.goalName) }.joined(separator: ", ")]
                + rest(behind: last)
        }
        let page = ListenedPage(slug: nil, currency: currency)
        return events.compactMap(\.credit).map { "goal \(page.progress($0.goalProgress, of: $0.goalTarget))" }
    }

    /// Behind the last goal that it completed, what was left of the tip is in the next one, or in none.
    private func rest(behind last: TipAnswer.Completion) -> [String] {
        guard last.overflowAmount > 0 else { return [] }
        let rest = Wording.money(last.overflowAmount, code: currency)
        return [last.nextGoal.map { "\(rest) to \(ListenedPage.quoted($0.description))" } ?? "\(rest) over"]
    }
}
