extension GoalQueue {
    /// Does what `command` says, or throws and leaves the queue as it was.
    ///
    /// - Returns: the change for the log; also when it moved nothing, because the command was accepted all the same.
    public mutating func apply(_ command: GoalCommand) throws(GoalRefusal) -> GoalChange {
        switch command {
        case .add(let id, let description, let amount):
            guard index(of: id) == nil else { throw .taken }
            guard goals.count < Limits.goals else { throw .full }
            goals.append(Goal(id: id, description: description, amountInCents: amount))
            return .added(id, description: description, amountInCents: amount)
        case .edit(let id, let description, let amount):
            let surplus = try edit(id, description: description, amount: amount)
            return .edited(id, description: description, amountInCents: amount, surplusInCents: surplus)
        case .remove(let id):
            goals.remove(at: try known(id))
            return .removed(id)
        case .reorder(let order):
            try reorder(order)
            return .reordered(order)
        case .adjust(let id, let amount, let reason):
            let index = try known(id)
            let goal = goals[index]
            guard !goal.isCompleted else { throw .progressIsFinal }
            guard (-goal.progressInCents...goal.missingInCents).contains(amount) else { throw .outOfRange(goal) }
            goals[index].progressInCents += amount
            return .adjusted(id, amountInCents: amount, reason: reason)
        }
    }

    private func known(_ id: Goal.ID) throws(GoalRefusal) -> Int {
        guard let index = index(of: id) else { throw .unknown }
        return index
    }

    /// An amount at or below the progress completes the goal.
    ///
    /// - Returns: the progress beyond the new amount.
    private mutating func edit(_ id: Goal.ID, description: String?, amount: Int?) throws(GoalRefusal) -> Int {
        let index = try known(id)
        var goal = goals[index]
        var surplus = 0
        if let amount, amount != goal.amountInCents {
            guard !goal.isCompleted else { throw .amountIsFinal }
            surplus = max(0, goal.progressInCents - amount)
            goal.progressInCents -= surplus
            goal.amountInCents = amount
        }
        if let description { goal.description = description }
        goals[index] = goal
        return surplus
    }

    /// Completed goals keep their place; the others take the places between them in the order given.
    private mutating func reorder(_ order: [Goal.ID]) throws(GoalRefusal) {
        var open: [Goal.ID: Goal] = [:]
        for goal in goals where !goal.isCompleted { open[goal.id] = goal }
        let difference = difference(of: order, from: open)
        guard difference.isEmpty else { throw .staleOrder(difference) }
        var next = order.makeIterator()
        for index in goals.indices where !goals[index].isCompleted {
            guard let id = next.next(), let goal = open[id] else {
                preconditionFailure("an order without a difference names each open goal once")
            }
            goals[index] = goal
        }
    }

    private func difference(of order: [Goal.ID], from open: [Goal.ID: Goal]) -> OrderDifference {
        let completed = Dictionary(uniqueKeysWithValues: goals.filter(\.isCompleted).map { ($0.id, $0) })
        var named: Set<Goal.ID> = []
        var repeated: [Goal.ID] = []
        for id in order where !named.insert(id).inserted && !repeated.contains(id) { repeated.append(id) }
        let once = order.filter { named.remove($0) != nil }
        let onceNamed = Set(once)
        return OrderDifference(
            added: goals.filter { open[$0.id] != nil && !onceNamed.contains($0.id) },
            removed: once.filter { open[$0] == nil && completed[$0] == nil },
            completed: once.compactMap { completed[$0] }, repeated: repeated)
    }
}
