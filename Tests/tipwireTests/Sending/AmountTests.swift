import Testing
import TipwireCore

@testable import tipwire

@Suite struct AmountTests {
    @Test(
        "Decimals become minor units of their currency",
        arguments: [
            ("5", "USD", 500), ("5.0", "USD", 500), ("0.01", "USD", 1), ("500", "JPY", 500), ("1.234", "KWD", 1_234),
        ])
    func read(_ text: String, _ code: String, _ units: Int) throws {
        #expect(try Amount.minorUnits(text, in: #require(Currency(code: code))) == units)
    }

    @Test(
        "Each mistake has its words",
        arguments: [
            ("5.001", "USD", "amount '5.001' has more decimals than USD has (2)"),
            ("5.0", "JPY", "amount '5.0' has more decimals than JPY has (0)"),
            ("0.00", "USD", "amount '0.00' must be from 0.01 to 1000000.00 USD"),
            ("1000000.01", "USD", "amount '1000000.01' must be from 0.01 to 1000000.00 USD"),
            ("99999999999999999999", "USD", "amount '99999999999999999999' must be from 0.01 to 1000000.00 USD"),
            ("5,00", "USD", "amount '5,00' is not a number like 5.00"),
        ])
    func refused(_ text: String, _ code: String, _ words: String) throws {
        let currency = try #require(Currency(code: code))
        #expect(throws: Failure(words)) { try Amount.minorUnits(text, in: currency) }
    }

    @Test(
        "No sign, exponent, blank or foreign digit is part of an amount",
        arguments: ["", "-5", "+5", "5e2", " 5", "5.", ".5", "1.2.3", "٥"])
    func shape(_ text: String) {
        #expect(!Amount.isDecimal(text))
    }
}
