import TipwireCore

/// A condition that somebody gave and that can't be had.
public struct ConditionFault: Error, Hashable, Sendable {
    public let name: String
    /// Whether the name is none that the type offers, or its value can't be read.
    public let isUnknown: Bool
    /// What to do.
    public let detail: String
}

extension EventSubDefinition {
    /// Reads conditions by their names, an empty value counting as none.
    public func condition(
        _ values: [(name: String, value: String)], currency: Currency
    ) throws(ConditionFault) -> EventSubCondition? {
        var condition: EventSubCondition?
        for (name, value) in values {
            guard conditions.contains(where: { $0.name == name }) else {
                throw ConditionFault(
                    name: String(name.prefix(80)), isUnknown: true, detail: "this type has no such condition")
            }
            guard name == Self.minimumAmount, !value.isEmpty else { continue }
            guard let cents = currency.minorUnits(decimal: value), Limits.grossAmountInCents.contains(max(cents, 1))
            else {
                throw ConditionFault(
                    name: name, isUnknown: false,
                    detail: "not a decimal of \(currency.code) like \(currency.decimal(500))")
            }
            condition = EventSubCondition(minimumAmountInCents: cents, minimumAmount: value)
        }
        return condition
    }
}
