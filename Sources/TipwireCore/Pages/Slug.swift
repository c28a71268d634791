/// The name of a page or an account in addresses: `[a-z0-9][a-z0-9-]{0,63}`.
///
/// Stored in lower case, compared case-insensitively by lower-casing whatever comes in.
public struct Slug: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    /// Lower-cases `raw` and checks it; nil if it isn't a slug.
    public init?(_ raw: String) {
        guard raw.utf8.count <= Limits.slugCharacters, let first = raw.utf8.first, first != UInt8(ascii: "-") else {
            return nil
        }
        for byte in raw.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                continue
            default: return nil
            }
        }
        text = raw.lowercased()
    }

    public var description: String { text }

    /// The rule as a sentence's end, for error messages.
    public static let rule =
        "must be 1 to \(Limits.slugCharacters) letters, digits or hyphens, and start with a letter or digit"
}
