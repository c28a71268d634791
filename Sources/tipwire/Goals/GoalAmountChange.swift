import TipwireCore

/// A change of what a goal takes or has, as it was typed: what a refusal of it needs to speak in the same terms.
///
/// The API counts in minor units and names its own members; whoever typed `--amount 130.00` is told in money.
struct GoalAmountChange: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// To a new amount.
        case edit
        /// By so much, in minor units; negative to take away.
        case adjustment(Int)
    }

    let goalID: String
    let page: Slug
    let currency: Currency
    let kind: Kind

    /// Why the goal doesn't take it; nil if nothing in the goal, as it is now, speaks against it.
    func reason(_ goal: GoalObject) -> String? {
        let has = Wording.money(goal.progressInCents, code: currency.code)
        let takes = Wording.money(goal.amountInCents, code: currency.code)
        switch kind {
        case .edit:
            guard goal.isCompleted else { return nil }
            return "\(ListenedPage.quoted(goal.description)) is completed and keeps its amount, \(takes); "
                + "only its description can be edited"
        case .adjustment(let cents):
            guard !goal.isCompleted else {
                return "\(ListenedPage.quoted(goal.description)) is completed with \(takes), and a completed goal "
                    + "can't be adjusted"
            }
            let (least, underflow) = 0.subtractingReportingOverflow(goal.progressInCents)
            let (most, overflow) = goal.amountInCents.subtractingReportingOverflow(goal.progressInCents)
            guard !underflow, !overflow, cents < least || cents > most else { return nil }
            return "--amount must be from \(currency.decimal(least)) to \(currency.decimal(most)): "
                + "the goal has \(has) of \(takes)"
        }
    }
}
