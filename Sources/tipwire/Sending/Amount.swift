import TipwireCore

/// A decimal that someone typed, as minor units; each way it can be wrong has its own words.
enum Amount {
    /// Digits, perhaps a point and more digits: what can be said before the currency is known.
    static func isDecimal(_ text: String) -> Bool {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    }

    static func minorUnits(_ text: String, in currency: Currency) throws -> Int {
        guard isDecimal(text) else { throw Failure("amount '\(VisibleText(text))' is not a number like 5.00") }
        let decimals = text.split(separator: ".").dropFirst().first?.count ?? 0
        guard decimals <= currency.minorDigits else {
            throw Failure("amount '\(text)' has more decimals than \(currency.code) has (\(currency.minorDigits))")
        }
        let limits = Limits.grossAmountInCents
        guard let units = currency.minorUnits(decimal: text), limits.contains(units) else {
            throw Failure(
                "amount '\(text)' must be from \(currency.decimal(limits.lowerBound)) to "
                    + "\(currency.decimal(limits.upperBound)) \(currency.code)")
        }
        return units
    }
}
