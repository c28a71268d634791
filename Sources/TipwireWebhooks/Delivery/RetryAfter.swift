import TipwireCore

/// The value of a `Retry-After` header (RFC 9110, section 10.2.3).
public enum RetryAfter: Hashable, Sendable {
    case seconds(Int64)
    case at(Timestamp)

    /// Reads either form; nil for anything else. More seconds than a number can hold are as many as it can.
    public init?(_ header: String) {
        // White space around the value isn't part of it, and how much there is inside a date doesn't matter.
        let text = header.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
        guard !text.isEmpty else { return nil }
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            self = .seconds(Int64(text) ?? .max)
        } else if let time = HTTPDate.read(text) {
            self = .at(time)
        } else {
            return nil
        }
    }

    /// The wait that it asks for when it came at `time`, at most `limit`; none for a time that has passed.
    func milliseconds(from time: Timestamp, limit: Int64) -> Int64 {
        switch self {
        case .seconds(let seconds):
            seconds >= limit / 1_000 ? limit : seconds * 1_000
        case .at(let moment):
            min(max(moment.milliseconds - time.milliseconds, 0), limit)
        }
    }
}

/// Reads the three forms of a date that a receiver of HTTP must know (RFC 9110, section 5.6.7).
enum HTTPDate {
    private static let months = [
        "Jan": "01", "Feb": "02", "Mar": "03", "Apr": "04", "May": "05", "Jun": "06", "Jul": "07", "Aug": "08",
        "Sep": "09", "Oct": "10", "Nov": "11", "Dec": "12",
    ]

    /// The day of the week is passed over: it says nothing that the date doesn't.
    static func read(_ text: String) -> Timestamp? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: true)
        switch parts.count {
        // Sun, 06 Nov 1994 08:49:37 GMT
        case 6 where parts[0].hasSuffix(",") && parts[5] == "GMT":
            return timestamp(year: parts[3], month: parts[2], day: parts[1], clock: parts[4])
        // Sunday, 06-Nov-94 08:49:37 GMT
        case 4 where parts[0].hasSuffix(",") && parts[3] == "GMT":
            let date = parts[1].split(separator: "-", omittingEmptySubsequences: false)
            guard date.count == 3, date[2].utf8.count == 2, let year = Int(date[2]) else { return nil }
            // Meant to be read as the nearest year; this form died long before 2070.
            let century = year < 70 ? "20" : "19"
            return timestamp(year: century + date[2], month: date[1], day: date[0], clock: parts[2])
        // Sun Nov  6 08:49:37 1994
        case 5:
            return timestamp(year: parts[4], month: parts[1], day: parts[2], clock: parts[3])
        default:
            return nil
        }
    }

    private static func timestamp(
        year: Substring, month: Substring, day: Substring, clock: Substring
    ) -> Timestamp? {
        guard let month = months[String(month)] else { return nil }
        let day = day.utf8.count == 1 ? "0\(day)" : String(day)
        // RFC 3339 checks the rest: digits where they belong, and that there is such a day. No fraction, no offset: the
        // length of each part is its.
        guard clock.utf8.count == 8 else { return nil }
        return Timestamp(rfc3339: "\(year)-\(month)-\(day)T\(clock)Z")
    }
}
