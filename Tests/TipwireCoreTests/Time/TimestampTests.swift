import Foundation
import Testing
import TipwireCore
import TipwireTestSupport

@Suite("Timestamp")
struct TimestampTests {
    @Test(
        "A time is read to the millisecond and written back in UTC",
        arguments: [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z"),
            ("2024-03-13T18:02:33.743Z", 1_710_352_953_743, "2024-03-13T18:02:33.743Z"),
            ("2024-03-13t18:02:33.743z", 1_710_352_953_743, "2024-03-13T18:02:33.743Z"),
            ("2024-03-13 18:02:33.743Z", 1_710_352_953_743, "2024-03-13T18:02:33.743Z"),
            // Offsets, over the ends of days and years.
            ("2024-03-13T20:02:33.743+02:00", 1_710_352_953_743, "2024-03-13T18:02:33.743Z"),
            ("2024-03-13T12:32:33.743-05:30", 1_710_352_953_743, "2024-03-13T18:02:33.743Z"),
            ("2024-01-01T00:30:00+01:00", 1_704_065_400_000, "2023-12-31T23:30:00.000Z"),
            ("2023-12-31T23:30:00-01:00", 1_704_069_000_000, "2024-01-01T00:30:00.000Z"),
            ("1970-01-01T00:00:00-00:00", 0, "1970-01-01T00:00:00.000Z"),
            ("1970-01-01T23:59:00+23:59", 0, "1970-01-01T00:00:00.000Z"),
            // Fractions: one to nine digits, cut after the third and never rounded.
            ("1970-01-01T00:00:00.5Z", 500, "1970-01-01T00:00:00.500Z"),
            ("1970-01-01T00:00:00.05Z", 50, "1970-01-01T00:00:00.050Z"),
            ("1970-01-01T00:00:00.0059Z", 5, "1970-01-01T00:00:00.005Z"),
            ("1970-01-01T00:00:00.999999999Z", 999, "1970-01-01T00:00:00.999Z"),
            // Leap days: each fourth year, not each hundredth, each four hundredth.
            ("2024-02-29T00:00:00Z", 1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            ("2000-02-29T12:00:00Z", 951_825_600_000, "2000-02-29T12:00:00.000Z"),
            ("2100-02-28T23:59:59.999Z", 4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            // Before 1970.
            ("1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"),
            ("1969-12-31T23:59:59Z", -1_000, "1969-12-31T23:59:59.000Z"),
            ("1600-02-29T00:00:00Z", -11_670_998_400_000, "1600-02-29T00:00:00.000Z"),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ])
    func readsAndWrites(text: String, milliseconds: Int64, written: String) throws {
        let time = try #require(Timestamp(rfc3339: text))
        #expect(time.milliseconds == milliseconds)
        #expect(time.description == written)
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", "2024", "2024-03-13", "2024-03-13T18:02:33", "2024-03-13T18:02Z", "18:02:33Z",
            "2024-3-13T18:02:33Z", "24-03-13T18:02:33Z", "02024-03-13T18:02:33Z", "+2024-03-13T18:02:33Z",
            "2024-00-13T18:02:33Z", "2024-13-13T18:02:33Z", "2024-03-00T18:02:33Z", "2024-03-32T18:02:33Z",
            "2024-04-31T18:02:33Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
            "2024-02-30T00:00:00Z", "2024-03-13T24:00:00Z", "2024-03-13T18:60:00Z",
            // A leap second.
            "2016-12-31T23:59:60Z",
            "2024-03-13T18:02:33.Z", "2024-03-13T18:02:33.1234567890Z", "2024-03-13T18:02:33,5Z",
            "2024-03-13T18:02:33.-5Z", "2024-03-13T18:02:33+0200", "2024-03-13T18:02:33+02",
            "2024-03-13T18:02:33+24:00",
            "2024-03-13T18:02:33+02:60", "2024-03-13T18:02:33ZZ", "2024-03-13T18:02:33Z ", " 2024-03-13T18:02:33Z",
            "2024-03-13_18:02:33Z", "2024/03/13T18:02:33Z", "2024-03-13T18:02:33.743Z\n", "1710352953743",
            // Digits of another script.
            "２０２４-03-13T18:02:33Z", "2024-03-13T18:02:3٣Z",
        ])
    func refuses(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test(
        "A time that its offset moves out of the years 0000 to 9999 is refused: four digits can't write it back",
        arguments: [
            "0000-01-01T00:00:00+00:01", "0000-01-01T23:58:59.999+23:59", "9999-12-31T23:59:00-00:01",
            "9999-12-31T00:01:00-23:59",
        ])
    func refusesUnwritableYears(text: String) {
        // Only whether it was read: describing such a time is what would trap.
        #expect(Timestamp(rfc3339: text)?.milliseconds == nil)
    }

    @Test("What is written is read back as the same moment, and as Foundation reads it")
    func roundTrip() throws {
        var seed = TestSeed()
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        for round in 0..<2_000 {
            let time = Timestamp(milliseconds: .random(in: -62_167_219_200_000...253_402_300_799_999, using: &seed))
            let text = time.description
            #expect(text.utf8.count == 24, "\(text) \(seed)")
            #expect(Timestamp(rfc3339: text) == time, "\(text) \(seed)")
            // An independent reader; it counts by the Julian calendar before 1582, and is slow.
            if round % 8 == 0, time.milliseconds > -12_000_000_000_000 {
                let date = try #require(formatter.date(from: text), "\(text) \(seed)")
                let milliseconds = Int64((date.timeIntervalSince1970 * 1_000).rounded())
                #expect(milliseconds == time.milliseconds, "\(text) \(seed)")
            }
        }
    }

    @Test("A local time with an offset is the same moment as its UTC spelling")
    func offsets() {
        var seed = TestSeed()
        for _ in 0..<500 {
            let local = Timestamp(
                milliseconds: .random(in: 0...4_000_000_000, using: &seed) * 1_000 + .random(in: 0...999, using: &seed))
            let hours = Int.random(in: 0...23, using: &seed)
            let minutes = Int.random(in: 0...59, using: &seed)
            let isEast = Bool.random(using: &seed)
            func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
            let text = local.description.dropLast() + (isEast ? "+" : "-") + two(hours) + ":" + two(minutes)
            let shift = Int64(hours * 60 + minutes) * (isEast ? -60_000 : 60_000)
            #expect(Timestamp(rfc3339: String(text)) == local.advanced(milliseconds: shift), "\(text) \(seed)")
        }
    }

    @Test("Text sorts as time does")
    func order() {
        var seed = TestSeed()
        let times = (0..<200).map { _ in
            Timestamp(milliseconds: .random(in: -1_000_000_000...2_000_000_000_000, using: &seed))
        }
        #expect(times.sorted().map(\.description) == times.map(\.description).sorted(), "\(seed)")
    }

    @Test(
        "Whole seconds are rounded down, before 1970 too",
        arguments: [(0, 0), (999, 0), (1_000, 1), (-1, -1), (-1_000, -1), (-1_001, -2)])
    func unixSeconds(milliseconds: Int64, seconds: Int64) {
        #expect(Timestamp(milliseconds: milliseconds).unixSeconds == seconds)
    }

    @Test(
        "An HTTP date has its weekday, two digits of day and no fraction",
        arguments: [
            ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
            ("2024-02-29T12:00:00.999Z", "Thu, 29 Feb 2024 12:00:00 GMT"),
            ("2026-03-02T00:00:00Z", "Mon, 02 Mar 2026 00:00:00 GMT"),
            ("2026-03-07T00:00:00Z", "Sat, 07 Mar 2026 00:00:00 GMT"),
        ])
    func httpDate(text: String, written: String) {
        #expect(Timestamp(rfc3339: text)?.httpDate == written)
    }
}
