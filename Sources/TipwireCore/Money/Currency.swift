/// An ISO 4217 currency: its code, and how many decimal digits its minor unit has.
///
/// Amounts are integers of the minor unit everywhere; a decimal exists only as text at the edge, and is read and
/// written here.
public struct Currency: Hashable, Sendable {
    /// Three upper-case letters.
    public let code: String
    /// Digits after the decimal point: 2 for most, 0 for JPY, 3 for KWD.
    public let minorDigits: Int

    /// The currency with this code, in either case; nil if ISO 4217 has none, or none with a minor unit.
    public init?(code: String) {
        // ASCII first: upper-casing turns some other letters into ASCII ones.
        guard code.utf8.count == 3, code.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        let code = code.uppercased()
        guard let digits = Self.minorDigits(of: code) else { return nil }
        self.code = code
        self.minorDigits = digits
    }

    public static let usd = Currency(code: "USD")!

    /// `500` of USD is `5.00`, of JPY `500`, of KWD `0.500`.
    public func decimal(_ minorUnits: Int) -> String {
        guard minorDigits > 0 else { return String(minorUnits) }
        let sign = minorUnits < 0 ? "-" : ""
        var digits = String(minorUnits.magnitude)
        if digits.count <= minorDigits {
            digits = String(repeating: "0", count: minorDigits + 1 - digits.count) + digits
        }
        return sign + digits.dropLast(minorDigits) + "." + digits.suffix(minorDigits)
    }

    /// Minor units of a decimal like `5`, `5.0` or `5.00`; nil for a sign, an exponent, a separator, more decimals than
    /// the currency has, or a number too large for the limits.
    public func minorUnits(decimal text: String) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, (1...12).contains(whole.count) else { return nil }
        let fraction = parts.count == 2 ? parts[1] : ""
        guard parts.count == 1 || !fraction.isEmpty, fraction.count <= minorDigits else { return nil }
        var value = 0
        for digit in (String(whole) + fraction).utf8 {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        for _ in fraction.count..<max(minorDigits, fraction.count) { value *= 10 }
        return value
    }
}

extension Currency {
    private static func minorDigits(of code: String) -> Int? {
        if zeroDigits.contains(code) { return 0 }
        if threeDigits.contains(code) { return 3 }
        if fourDigits.contains(code) { return 4 }
        return twoDigits.contains(code) ? 2 : nil
    }

    private static func codes(_ list: String) -> Set<String> {
        Set(list.split(separator: " ").map(String.init))
    }

    private static let zeroDigits = codes("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF")
    private static let threeDigits = codes("BHD IQD JOD KWD LYD OMR TND")
    private static let fourDigits = codes("CLF UYW")
    private static let twoDigits = codes(
        """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW \
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
        MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER \
        ZAR ZMW ZWG
        """)
}
