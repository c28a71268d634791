import ArgumentParser
import TipwireCore

/// A decimal that someone typed, as minor units; each way it can be wrong has its own words.
enum Amount {
    /// Digits, perhaps a point and more digits: what can be said before the currency is known.
    static func isDecimal(_ text: String) -> Bool {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    }

    /// Refuses what can't be an amount in any currency, as an option's value that is more than 0.
    static func validate(_ text: String, of option: String, like example: String) throws {
        if isDecimal(text) { return }
        let rule = isSignedDecimal(text) ? "more than 0, a number" : "a number"
        throw ValidationError("\(option) must be \(rule) like \(example), not '\(VisibleText(text))'")
    }

    /// The same, perhaps with a sign in front.
    static func isSignedDecimal(_ text: String) -> Bool { isDecimal(unsigned(text)) }

    /// - Parameter limits: What the amount may be; a tip's and a goal's differ.
    static func minorUnits(_ text: String, in currency: Currency, limits: ClosedRange<Int>) throws -> Int {
        guard isDecimal(text) else { throw Failure("amount '\(VisibleText(text))' is not a number like 5.00") }
        guard let units = try magnitude(of: text, in: currency), limits.contains(units) else {
            throw Failure(
                "amount '\(text)' must be from \(currency.decimal(limits.lowerBound)) to "
                    + "\(currency.decimal(limits.upperBound)) \(currency.code)")
        }
        return units
    }

    /// An amount that is added or, with a minus, taken away; never 0.
    ///
    /// - Parameter most: The largest, with either sign.
    static func signedMinorUnits(_ text: String, in currency: Currency, most: Int) throws -> Int {
        guard isSignedDecimal(text) else {
            throw Failure("amount '\(VisibleText(text))' is not a number like 5.00 or -5.00")
        }
        guard let units = try magnitude(of: text, in: currency), (1...most).contains(units) else {
            throw Failure(
                "amount '\(text)' must be from \(currency.decimal(-most)) to \(currency.decimal(most)) "
                    + "\(currency.code), and not 0")
        }
        return text.first == "-" ? -units : units
    }

    private static func unsigned(_ text: String) -> String {
        text.first == "-" || text.first == "+" ? String(text.dropFirst()) : text
    }

    /// Without the sign; nil for more than `Currency` reads.
    private static func magnitude(of text: String, in currency: Currency) throws -> Int? {
        let decimals = text.split(separator: ".").dropFirst().first?.count ?? 0
        guard decimals <= currency.minorDigits else {
            throw Failure("amount '\(text)' has more decimals than \(currency.code) has (\(currency.minorDigits))")
        }
        return currency.minorUnits(decimal: unsigned(text))
    }
}
