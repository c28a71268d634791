import TipwireCore

/// How goals read to people.
struct GoalText {
    let currency: Currency
    var style = ProgressBar.Style.fitting()

    /// The queue in its order. The place is the one that `goal move --to` takes; completed goals have none.
    func table(_ goals: [GoalObject]) -> String {
        var table = Table([
            .init(title: "PLACE", alignedRight: true), .init(title: "GOAL", limit: 40), .init(title: "PROGRESS"),
            .init(title: "", alignedRight: true), .init(title: "AMOUNT"), .init(title: "STATE"), .init(title: "ID"),
        ])
        var place = 0
        for goal in goals {
            if !goal.isCompleted { place += 1 }
            let bar = ProgressBar(progress: goal.progressInCents, amount: goal.amountInCents)
            table.add([
                VisibleText(goal.isCompleted ? "" : String(place)), VisibleText(goal.description), bar.drawn(style),
                bar.percent, VisibleText(amounts(goal)), VisibleText(goal.state), VisibleText(goal.id),
            ])
        }
        return table.text
    }

    /// One goal after it was changed: `"New webcam" · $16.20 of $50.00 (32%) · active · goal clx9goal1234`.
    func line(_ goal: GoalObject) -> String {
        let bar = ProgressBar(progress: goal.progressInCents, amount: goal.amountInCents)
        return "\"\(VisibleText(goal.description))\" · \(amounts(goal)) (\(bar.percent)) · "
            + "\(VisibleText(goal.state)) · goal \(VisibleText(goal.id))"
    }

    /// A goal that was removed: `"New webcam" is removed from demo; its $16.20 go with it`.
    ///
    /// - Parameter goal: As it was; nil if it came into the queue only after it was looked at.
    func removal(of id: String, _ goal: GoalObject?, from page: Slug) -> String {
        guard let goal else { return "goal \(VisibleText(id)) is removed from \(page)" }
        let words = "\"\(VisibleText(goal.description))\" is removed from \(page)"
        guard goal.progressInCents > 0 else { return words }
        return "\(words); its \(Wording.money(goal.progressInCents, code: currency.code)) go with it"
    }

    private func amounts(_ goal: GoalObject) -> String {
        let progress = Wording.money(goal.progressInCents, code: currency.code)
        return "\(progress) of \(Wording.money(goal.amountInCents, code: currency.code))"
    }
}
