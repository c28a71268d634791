import TipwireCore

/// When a key shall end: a span from now, like `30d`, or a time.
enum Expiry {
    /// Longest span, in seconds: a hundred years. More is a slip of the hand, and would leave the four-digit years.
    static let longestSeconds: Int64 = 36_525 * 86_400

    static let rule = "must be like 90s, 15m, 12h or 30d, or a time like 2030-01-31T12:00:00Z"

    /// Nil for what is neither. Only the server's clock says whether a time is still ahead.
    static func time(_ text: String, now: Timestamp) -> Timestamp? {
        guard let unit = text.last, let factor = seconds[unit] else { return Timestamp(rfc3339: text) }
        let digits = text.dropLast()
        guard (1...10).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int64(digits), count > 0, count * factor <= longestSeconds
        else { return nil }
        return now.advanced(milliseconds: count * factor * 1_000)
    }

    private static let seconds: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
}
