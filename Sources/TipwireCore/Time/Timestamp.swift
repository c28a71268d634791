/// A moment in UTC, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// An integer rather than `Date`: the wire has exactly three fraction digits, and a floating-point second doesn't
/// survive the way there and back. Reading the clock is the caller's business (`TipwireHub`'s `WallClock`), so that
/// everything here is a pure function of its arguments.
public struct Timestamp: Hashable, Comparable, Sendable {
    public let milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    public func advanced(milliseconds delta: Int64) -> Timestamp {
        Timestamp(milliseconds: milliseconds + delta)
    }

    /// Whole seconds since the epoch, rounded down.
    public var unixSeconds: Int64 { milliseconds.flooredQuotient(1_000) }
}

extension Timestamp: CustomStringConvertible {
    /// `2024-03-13T18:02:33.743Z`: RFC 3339, UTC, always three fraction digits. What lies outside the years that four digits can
    /// write is told as the first or last of them.
    public var description: String {
        String(unsafeUninitializedCapacity: Self.textBytes) { bytes in
            write(to: bytes.baseAddress!)
            return Self.textBytes
        }
    }

    /// Bytes of a description.
    public static let textBytes = 24

    /// Writes a description's `textBytes`.
    public func write(to bytes: UnsafeMutablePointer<UInt8>) {
        let milliseconds = min(max(self, Self.firstOfYear0), Self.lastOfYear9999).milliseconds
        let days = milliseconds.flooredQuotient(86_400_000)
        let inDay = Int(milliseconds - days * 86_400_000)
        let date = CivilDate(daysSinceEpoch: days)
        func digits(_ value: Int, at offset: Int, count: Int) {
            var rest = value
            for index in stride(from: offset + count - 1, through: offset, by: -1) {
                bytes[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
        }
        digits(date.year, at: 0, count: 4)
        bytes[4] = UInt8(ascii: "-")
        digits(date.month, at: 5, count: 2)
        bytes[7] = UInt8(ascii: "-")
        digits(date.day, at: 8, count: 2)
        bytes[10] = UInt8(ascii: "T")
        digits(inDay / 3_600_000, at: 11, count: 2)
        bytes[13] = UInt8(ascii: ":")
        digits(inDay / 60_000 % 60, at: 14, count: 2)
        bytes[16] = UInt8(ascii: ":")
        digits(inDay / 1_000 % 60, at: 17, count: 2)
        bytes[19] = UInt8(ascii: ".")
        digits(inDay % 1_000, at: 20, count: 3)
        bytes[23] = UInt8(ascii: "Z")
    }
}

extension Timestamp {
    private static let firstOfYear0 = Timestamp(milliseconds: -62_167_219_200_000)
    private static let lastOfYear9999 = Timestamp(milliseconds: 253_402_300_799_999)

    /// Reads an RFC 3339 time: `Z` or a numeric offset, zero to nine fraction digits (those past the third are cut).
    ///
    /// Nil for anything else, a leap second included: the caller's clock should have smeared or dropped it.
    public init?(rfc3339 text: String) {
        var reader = DigitReader(text)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.number(2), reader.skip(":"), let minute = reader.number(2), reader.skip(":"),
            let second = reader.number(2),
            (1...12).contains(month), (1...CivilDate.days(inMonth: month, year: year)).contains(day),
            hour < 24, minute < 60, second < 60
        else { return nil }
        var fraction = 0
        if reader.skip(".") {
            guard let read = reader.fractionInMilliseconds() else { return nil }
            fraction = read
        }
        var offsetMinutes = 0
        if !(reader.skip("Z") || reader.skip("z")) {
            let sign: Int
            if reader.skip("+") { sign = 1 } else if reader.skip("-") { sign = -1 } else { return nil }
            guard let hours = reader.number(2), reader.skip(":"), let minutes = reader.number(2),
                hours < 24, minutes < 60
            else { return nil }
            offsetMinutes = sign * (hours * 60 + minutes)
        }
        guard reader.isAtEnd else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSinceEpoch
        let seconds = days * 86_400 + Int64(hour * 3_600 + minute * 60 + second - offsetMinutes * 60)
        let time = Timestamp(milliseconds: seconds * 1_000 + Int64(fraction))
        // An offset may lead out of the years that four digits can write.
        guard (Self.firstOfYear0...Self.lastOfYear9999).contains(time) else { return nil }
        self = time
    }
}

/// Reads fixed-width decimal fields from the front of a string.
private struct DigitReader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { index == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    mutating func number(_ digits: Int) -> Int? {
        guard index + digits <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[index..<index + digits] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        index += digits
        return value
    }

    mutating func fractionInMilliseconds() -> Int? {
        let digits = bytes[index...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard (1...9).contains(digits.count) else { return nil }
        index += digits.count
        var value = 0
        for place in 0..<3 {
            let digit = place < digits.count ? digits[digits.startIndex + place] - UInt8(ascii: "0") : 0
            value = value * 10 + Int(digit)
        }
        return value
    }
}
