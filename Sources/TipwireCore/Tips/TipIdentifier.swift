/// A caller's name for a tip or for a request: `[A-Za-z0-9_.:-]{1,64}`.
public struct TipIdentifier: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    public init?(_ text: String) {
        guard (1...Limits.identifierCharacters).contains(text.utf8.count) else { return nil }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"),
                UInt8(ascii: "-"):
                continue
            default: return nil
            }
        }
        self.text = text
    }

    /// For a request.
    public static func random() -> TipIdentifier { TipIdentifier(PublicID.random())! }

    /// For a tip that came without one.
    public static func new(at time: Timestamp) -> TipIdentifier {
        var chance = Chance(draws: PublicID.orderedDraws)
        return new(at: time, by: &chance)
    }

    /// The same for one of many.
    public static func new(at time: Timestamp, by chance: inout Chance) -> TipIdentifier {
        TipIdentifier(PublicID.ordered(at: time, by: &chance))!
    }

    public var description: String { text }

    /// The rule as a sentence's end, for error messages.
    public static let rule =
        "must be 1 to \(Limits.identifierCharacters) characters of letters, digits, '_', '.', ':' and '-'"
}
