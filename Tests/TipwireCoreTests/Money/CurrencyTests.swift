import Testing
import TipwireCore
import TipwireTestSupport

@Suite("Currency")
struct CurrencyTests {
    @Test(
        "A currency has the decimal digits that ISO 4217 gives it",
        arguments: [
            ("USD", 2), ("EUR", 2), ("GBP", 2), ("CHF", 2), ("MGA", 2), ("MRU", 2), ("HUF", 2), ("TWD", 2), ("XCG", 2),
            ("JPY", 0), ("KRW", 0), ("CLP", 0), ("ISK", 0), ("VND", 0), ("UGX", 0), ("XAF", 0), ("XOF", 0), ("XPF", 0),
            ("KWD", 3), ("BHD", 3), ("IQD", 3), ("JOD", 3), ("LYD", 3), ("OMR", 3), ("TND", 3),
            ("CLF", 4), ("UYW", 4),
        ])
    func digits(code: String, digits: Int) throws {
        let currency = try #require(Currency(code: code))
        #expect(currency.minorDigits == digits)
        #expect(currency.code == code)
        #expect(Currency(code: code.lowercased()) == currency)
    }

    @Test(
        "What is no currency, or has no minor unit, is refused",
        arguments: ["", "US", "USDD", "USX", "XAU", "XXX", "XTS", "XDR", "HRK", "DEM", " USD", "U D", "$", "uſd"])
    func refuses(code: String) {
        #expect(Currency(code: code) == nil)
    }

    @Test(
        "An amount is written with exactly the currency's digits",
        arguments: [
            ("USD", 0, "0.00"), ("USD", 5, "0.05"), ("USD", 50, "0.50"), ("USD", 500, "5.00"),
            ("USD", 123_456, "1234.56"), ("USD", -5, "-0.05"), ("USD", -500, "-5.00"),
            ("USD", 100_000_000, "1000000.00"), ("JPY", 0, "0"), ("JPY", 500, "500"), ("JPY", -500, "-500"),
            ("KWD", 500, "0.500"), ("KWD", 1_234, "1.234"), ("KWD", 1, "0.001"), ("CLF", 1, "0.0001"),
            ("USD", Int.max, "92233720368547758.07"), ("USD", Int.min, "-92233720368547758.08"),
        ])
    func writes(code: String, minorUnits: Int, text: String) {
        #expect(Currency(code: code)?.decimal(minorUnits) == text)
    }

    @Test(
        "A decimal is read exactly, shorter fractions filled up",
        arguments: [
            ("USD", "5", 500), ("USD", "5.0", 500), ("USD", "5.00", 500), ("USD", "0.05", 5), ("USD", "0", 0),
            ("USD", "005.10", 510), ("USD", "1000000.00", 100_000_000), ("USD", "999999999999.99", 99_999_999_999_999),
            ("JPY", "500", 500), ("KWD", "1.234", 1_234), ("KWD", "1.2", 1_200), ("KWD", "1", 1_000),
            ("CLF", "999999999999.9999", 9_999_999_999_999_999),
        ])
    func reads(code: String, text: String, minorUnits: Int) {
        #expect(Currency(code: code)?.minorUnits(decimal: text) == minorUnits)
    }

    @Test(
        "A decimal in any other shape is refused, never rounded",
        arguments: [
            ("USD", ""), ("USD", "."), ("USD", "5."), ("USD", ".5"), ("USD", "5.000"), ("USD", "5.001"), ("USD", "-5"),
            ("USD", "+5"), ("USD", "5e2"), ("USD", "5,00"), ("USD", "1,000.00"), ("USD", "1 000"), ("USD", " 5"),
            ("USD", "5 "), ("USD", "$5"), ("USD", "0x10"), ("USD", "NaN"), ("USD", "1.2.3"), ("USD", "5.-1"),
            ("USD", "٥"), ("USD", "5\u{301}"), ("USD", "1000000000000"), ("JPY", "500.0"), ("JPY", "500."),
            ("KWD", "1.2345"), ("KWD", "1.2.3"),
        ])
    func refusesDecimal(code: String, text: String) {
        #expect(Currency(code: code)?.minorUnits(decimal: text) == nil)
    }

    @Test("What is written is read back as the same amount", arguments: ["USD", "JPY", "KWD", "CLF"])
    func roundTrip(code: String) throws {
        var seed = TestSeed()
        let currency = try #require(Currency(code: code))
        for _ in 0..<500 {
            let amount = Int.random(in: 0...100_000_000, using: &seed)
            #expect(currency.minorUnits(decimal: currency.decimal(amount)) == amount, "\(amount) \(seed)")
        }
    }
}
