import TipwireCore

/// Makes up the order of a page's goals after one of them was moved.
enum GoalOrder {
    /// Where a goal shall stand among those that aren't completed.
    enum Place: Equatable {
        /// From 1, the active one.
        case number(Int)
        case first
        case last
    }

    /// The ids of all goals that aren't completed, in their new order: what `PUT …/goals/order` asks for. The others
    /// keep their order among themselves.
    ///
    /// Throws a `Failure` for a goal that isn't there or can't be moved, and for a place that isn't there.
    static func moving(_ id: String, to place: Place, in goals: [GoalObject], of page: Slug) throws -> [String] {
        guard let goal = goals.first(where: { $0.id == id }) else {
            throw Failure(
                "page '\(page)' has no goal '\(VisibleText(id))'; list its goals with: tipwire goal list \(page)")
        }
        guard !goal.isCompleted else {
            throw Failure("goal '\(VisibleText(id))' is completed; completed goals keep their place")
        }
        let open = goals.filter { !$0.isCompleted }.map(\.id)
        let number =
            switch place {
            case .number(let number): number
            case .first: 1
            case .last: open.count
            }
        guard (1...open.count).contains(number) else {
            throw Failure(
                "there is no place \(number): page '\(page)' has \(open.count) "
                    + "\(open.count == 1 ? "goal that is" : "goals that are") not completed")
        }
        var order = open.filter { $0 != id }
        order.insert(id, at: number - 1)
        return order
    }
}
