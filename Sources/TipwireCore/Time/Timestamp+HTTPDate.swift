extension Timestamp {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`: the form that HTTP's `Date` header has (RFC 9110, section 5.6.7).
    public var httpDate: String {
        let days = milliseconds.flooredQuotient(86_400_000)
        let date = CivilDate(daysSinceEpoch: days)
        // 1970-01-01 was a Thursday.
        let weekday = Int(days - (days + 4).flooredQuotient(7) * 7 + 4)
        let clock = description.dropFirst(11).prefix(8)
        func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let month = Self.months[date.month - 1]
        return "\(Self.weekdays[weekday]), \(twoDigits(date.day)) \(month) \(date.year) \(clock) GMT"
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
