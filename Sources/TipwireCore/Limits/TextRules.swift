/// Rules for text that people write, shared by names, messages and titles.
public enum TextRules {
    /// What is wrong with `text`, or nil.
    ///
    /// Control characters are refused, never removed: a silent change would make the tip that is shown another than
    /// the one that was sent.
    public static func problem(in text: String, scalars limit: Int, newlines: Bool) -> String? {
        var count = 0
        for scalar in text.unicodeScalars {
            count += 1
            if count > limit { return "must be at most \(limit) characters long" }
            if scalar == "\n", newlines { continue }
            if isControl(scalar) {
                return newlines
                    ? "must not contain control characters other than newline"
                    : "must not contain control characters"
            }
        }
        return nil
    }

    /// Of the general category Cc, whose members the standard promises never to change: C0, DEL and C1.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }

    /// Whether there is nothing to see in `text`.
    public static func isBlank(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy(\.properties.isWhitespace)
    }

    /// What is wrong with a page's URL, or nil: `http` or `https`, printable ASCII, a host.
    public static func problem(inURL text: String) -> String? {
        if text.utf8.count > Limits.urlCharacters { return "must be at most \(Limits.urlCharacters) characters long" }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "<") })
        else { return "must be printable ASCII without spaces; percent-encode everything else" }
        let lower = text.lowercased()
        let rest: Substring
        if lower.hasPrefix("https://") {
            rest = lower.dropFirst(8)
        } else if lower.hasPrefix("http://") {
            rest = lower.dropFirst(7)
        } else {
            return "must start with http:// or https://"
        }
        let host = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return host.isEmpty ? "must name a host" : nil
    }
}
