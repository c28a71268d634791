/// A position in the log: which log it is, and the last sequence that was seen.
///
/// To clients it is an opaque string. The epoch is random, made with the store and changed by a restore, so that a
/// position in a history that no longer exists is recognised instead of being answered with other events.
public struct Cursor: Hashable, Sendable, CustomStringConvertible {
    public let epoch: String
    /// Positions start at 1; 0 is before the first event.
    public let sequence: Int64

    public init(epoch: String, sequence: Int64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    /// Longest text that is looked at: 8 characters of epoch, a hyphen, 19 digits, and some room.
    public static let maximumCharacters = 64

    public init?(_ text: String) {
        guard text.utf8.count <= Self.maximumCharacters, let hyphen = text.lastIndex(of: "-") else { return nil }
        let digits = text[text.index(after: hyphen)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let sequence = Int64(digits), hyphen > text.startIndex
        else { return nil }
        self.init(epoch: String(text[..<hyphen]), sequence: sequence)
    }

    public var description: String { "\(epoch)-\(sequence)" }
}
