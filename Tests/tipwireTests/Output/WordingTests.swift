import Testing

@testable import tipwire

@Suite struct WordingTests {
    @Test(
        "Amounts have the decimals of their currency",
        arguments: [
            (500, "USD", "$5.00"), (5, "EUR", "€0.05"), (500, "JPY", "500 JPY"), (1_234, "KWD", "1.234 KWD"),
            (7, "X\u{1B}", "7 minor units of X\\u{1b}"),
        ])
    func money(_ units: Int, _ code: String, _ text: String) {
        #expect(Wording.money(units, code: code) == text)
    }

    @Test("Times are in UTC and say so; what is no time is shown as it came")
    func times() {
        #expect(Wording.moment("2026-07-01T17:04:05.9+02:00").description == "2026-07-01 15:04:05Z")
        #expect(Wording.timeOfDay("2026-07-01T15:04:05.123Z").description == "15:04:05Z")
        #expect(Wording.moment("soon\u{7}").description == "soon\\u{7}")
    }

    @Test(
        "Seconds are rounded to tenths", arguments: [(1_340, "1.3 s"), (96, "0.1 s"), (29_960, "30.0 s"), (0, "0.0 s")])
    func seconds(_ milliseconds: Int, _ text: String) {
        #expect(Wording.seconds(.milliseconds(milliseconds)) == text)
    }
}
