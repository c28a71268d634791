/// Takes secrets out of text that is about to be logged.
///
/// Four things are recognised, wherever they stand: an API key (`tw_` and hex), of which the public look-up prefix is
/// left, the secret of a webhook (`whsec_` and base64), the password in a URL (`//user:password@host`) or the token of one for NATS
/// (`nats://token@host`), and the value of a query parameter that can carry a key, a password or a one-time code, raw or percent-encoded once.
public enum Redaction {
    /// The public part of a key: `tw_` and the 8 characters by which the store finds it.
    private static let prefixLength = 11
    private static let parameters = ["auth", "token", "key", "code", "connection_id", "password"].map { Array($0.utf8) }
    private static let tokenSchemes = ["nats:", "tls:"].map { Array($0.utf8) }
    private static let keyStart = Array("tw_".utf8)
    private static let webhookSecretStart = Array("whsec_".utf8)

    /// The text without secrets: `tw_0123abcd…` and `auth=[redacted]`.
    ///
    /// Errs on the side of hiding: `code=` is hidden in prose too. Hidden text can't be told from its length.
    public static func redacted(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var kept = 0
        var index = 0
        while index < bytes.count {
            let found =
                key(in: bytes, at: index) ?? webhookSecret(in: bytes, at: index) ?? password(in: bytes, at: index)
            guard let secret = found ?? parameterValue(in: bytes, at: index) else {
                index += 1
                continue
            }
            result += bytes[kept..<secret.range.lowerBound]
            result += Array(secret.replacement.utf8)
            kept = secret.range.upperBound
            index = kept
        }
        // Nothing found is the usual case, and costs no copy of the text.
        return kept == 0 ? text : String(decoding: result + bytes[kept...], as: UTF8.self)
    }

    private typealias Secret = (range: Range<Int>, replacement: String)

    private static func key(in bytes: [UInt8], at start: Int) -> Secret? {
        guard bytes[start...].starts(with: keyStart) else { return nil }
        let visible = start + prefixLength
        guard visible < bytes.count else { return nil }
        guard bytes[(start + keyStart.count)...visible].allSatisfy(\.isHexDigit) else { return nil }
        let end = bytes[visible...].firstIndex { !($0.isAlphanumeric || $0 == UInt8(ascii: "_")) } ?? bytes.count
        return (visible..<end, "…")
    }

    private static func webhookSecret(in bytes: [UInt8], at start: Int) -> Secret? {
        guard bytes[start...].starts(with: webhookSecretStart) else { return nil }
        let first = start + webhookSecretStart.count
        // Percent-encoded too, which an equals sign, a plus and a slash may be.
        let others = Set("+/=%-_".utf8)
        let end = bytes[first...].firstIndex { !($0.isAlphanumeric || others.contains($0)) } ?? bytes.count
        return first < end ? (first..<end, "…") : nil
    }

    private static func password(in bytes: [UInt8], at start: Int) -> Secret? {
        guard bytes[start] == UInt8(ascii: "/"), bytes[start...].starts(with: "//".utf8) else { return nil }
        let ends = Set("/?#\"'<> ".utf8)
        let authority = bytes[(start + 2)...].prefix { !ends.contains($0) }
        guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return nil }
        guard let colon = authority[..<at].firstIndex(of: UInt8(ascii: ":")) else {
            // A user alone is no secret, but with NATS it is a token.
            let isToken = tokenSchemes.contains { bytes[..<start].suffix($0.count).elementsEqual($0) }
            return isToken && start + 2 < at ? (start + 2..<at, "[redacted]") : nil
        }
        return colon + 1 < at ? (colon + 1..<at, "[redacted]") : nil
    }

    private static func parameterValue(in bytes: [UInt8], at start: Int) -> Secret? {
        guard isNameStart(in: bytes, at: start) else { return nil }
        for name in parameters {
            guard bytes[start...].starts(with: name, by: { $0.lowercased == $1 }) else { continue }
            let afterName = start + name.count
            let isEncoded = bytes[afterName...].starts(with: Array("%3d".utf8), by: { $0.lowercased == $1 })
            guard isEncoded || afterName < bytes.count && bytes[afterName] == UInt8(ascii: "=") else { continue }
            let value = afterName + (isEncoded ? 3 : 1)
            var end = value
            while end < bytes.count, !endsValue(bytes, at: end, isEncoded: isEncoded) { end += 1 }
            return end == value ? nil : (value..<end, "[redacted]")
        }
        return nil
    }

    /// Whether a name can begin here: not inside a word (`monkey=`), but behind a percent-encoded `?` or `&`.
    private static func isNameStart(in bytes: [UInt8], at index: Int) -> Bool {
        guard index > 0, bytes[index - 1].isAlphanumeric else { return true }
        return index >= 3 && bytes[index - 3] == UInt8(ascii: "%")
            && bytes[index - 2].isHexDigit && bytes[index - 1].isHexDigit
    }

    private static func endsValue(_ bytes: [UInt8], at index: Int, isEncoded: Bool) -> Bool {
        switch bytes[index] {
        case 0...0x20, UInt8(ascii: "&"), UInt8(ascii: "#"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "<"),
            UInt8(ascii: ">"):
            true
        case UInt8(ascii: "%"):
            isEncoded && ["%26", "%23"].contains { bytes[index...].starts(with: $0.utf8) }
        default:
            false
        }
    }
}

extension UInt8 {
    fileprivate var lowercased: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
    fileprivate var isHexDigit: Bool { (0x30...0x39).contains(self) || (0x61...0x66).contains(lowercased) }
    fileprivate var isAlphanumeric: Bool { (0x30...0x39).contains(self) || (0x61...0x7A).contains(lowercased) }
}
