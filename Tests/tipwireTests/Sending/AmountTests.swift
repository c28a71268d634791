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
        #expect(
            try Amount.minorUnits(text, in: #require(Currency(code: code)), limits: Limits.grossAmountInCents) == units)
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
        #expect(throws: Failure(words)) {
            try Amount.minorUnits(text, in: currency, limits: Limits.grossAmountInCents)
        }
    }

    @Test("A goal may take more than a tip may be")
    func goals() throws {
        let limits = Limits.goalAmountInCents
        #expect(try Amount.minorUnits("100000000.00", in: .usd, limits: limits) == 10_000_000_000)
        #expect(throws: Failure("amount '100000000.01' must be from 0.01 to 100000000.00 USD")) {
            try Amount.minorUnits("100000000.01", in: .usd, limits: limits)
        }
    }

    @Test(
        "A signed amount adds or takes away",
        arguments: [
            ("5", "USD", 500), ("+5.0", "USD", 500), ("-5.00", "USD", -500), ("-0.01", "USD", -1),
            ("-500", "JPY", -500), ("-1.234", "KWD", -1_234), ("-100000000.00", "USD", -10_000_000_000),
        ])
    func signed(_ text: String, _ code: String, _ units: Int) throws {
        let currency = try #require(Currency(code: code))
        #expect(
            try Amount.signedMinorUnits(text, in: currency, most: Limits.goalAmountInCents.upperBound) == units)
    }

    @Test(
        "Each mistake of a signed amount has its words",
        arguments: [
            ("-5.001", "amount '-5.001' has more decimals than USD has (2)"),
            ("-0.00", "amount '-0.00' must be from -10.00 to 10.00 USD, and not 0"),
            ("0", "amount '0' must be from -10.00 to 10.00 USD, and not 0"),
            ("-10.01", "amount '-10.01' must be from -10.00 to 10.00 USD, and not 0"),
            ("99999999999999999999", "amount '99999999999999999999' must be from -10.00 to 10.00 USD, and not 0"),
            ("--5", "amount '--5' is not a number like 5.00 or -5.00"),
        ])
    func signedRefused(_ text: String, _ words: String) {
        #expect(throws: Failure(words)) { try Amount.signedMinorUnits(text, in: .usd, most: 1_000) }
    }

    @Test("A sign stands in front, once", arguments: ["", "-", "+", "--5", "-+5", "5-", "- 5", "−5", "-.5", "-5e2"])
    func signedShape(_ text: String) {
        #expect(!Amount.isSignedDecimal(text))
        #expect(Amount.isSignedDecimal("-5.00") && Amount.isSignedDecimal("+5") && Amount.isSignedDecimal("5"))
    }

    @Test(
        "No sign, exponent, blank or foreign digit is part of an amount",
        arguments: ["", "-5", "+5", "5e2", " 5", "5.", ".5", "1.2.3", "٥"])
    func shape(_ text: String) {
        #expect(!Amount.isDecimal(text))
    }
}
