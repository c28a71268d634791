import TipwireCore

/// How amounts and times read to people. Programs get them from `--json` as the API spells them.
enum Wording {
    /// `$5.00`, `€5.00`, `500 JPY`: a sign where everyone knows it, the code where the sign would be a guess.
    static func money(_ minorUnits: Int, code: String) -> String {
        guard let currency = Currency(code: code) else { return "\(minorUnits) minor units of \(VisibleText(code))" }
        let decimal = currency.decimal(minorUnits)
        switch currency.code {
        case "USD": return "$" + decimal
        case "EUR": return "€" + decimal
        case "GBP": return "£" + decimal
        default: return decimal + " " + currency.code
        }
    }

    /// The display name, or `Anonymous`: the wire sends an empty one for those who hid theirs.
    static func tipper(_ displayName: String) -> VisibleText {
        VisibleText(displayName.isEmpty ? "Anonymous" : displayName)
    }

    /// `2026-07-01 15:04:05Z`; what isn't a time is shown as it came.
    static func moment(_ rfc3339: String) -> VisibleText {
        guard let time = Timestamp(rfc3339: rfc3339) else { return VisibleText(rfc3339) }
        let text = time.description
        return VisibleText("\(text.prefix(10)) \(text.dropFirst(11).prefix(8))Z")
    }

    /// The same of Unix seconds, which is how EventSub tells times.
    static func moment(_ unixSeconds: Int) -> VisibleText { moment(rfc3339(unixSeconds)) }

    /// `2026-07-01T15:04:05.000Z`; seconds that lead out of the years with four digits are shown as they came.
    static func rfc3339(_ unixSeconds: Int) -> String {
        guard (0..<secondsOfYears).contains(unixSeconds) else { return String(unixSeconds) }
        return Timestamp(milliseconds: Int64(unixSeconds) * 1_000).description
    }

    /// From 1970 to the end of 9999.
    private static let secondsOfYears = 253_402_300_800

    /// `15:04:05Z`: the day is on the listener's wall. UTC, and it says so.
    static func timeOfDay(_ rfc3339: String) -> VisibleText {
        guard let time = Timestamp(rfc3339: rfc3339) else { return VisibleText(rfc3339) }
        return VisibleText("\(time.description.dropFirst(11).prefix(8))Z")
    }

    /// `1.3 s`.
    static func seconds(_ duration: Duration) -> String { tenths(duration.milliseconds / 1_000) + " s" }

    /// One digit after the point, without a locale's say.
    static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(abs(tenths) % 10)"
    }
}

extension Duration {
    var milliseconds: Double {
        Double(components.seconds) * 1_000 + Double(components.attoseconds) / 1e15
    }
}
