import NIOCore

/// A parsed JSON text: the six kinds of value, with nothing lost that a careful caller may need.
///
/// Foundation's decoder turns numbers into doubles, takes the last of two equal members and accepts more than
/// RFC 8259. Money passes through here, so numbers keep their spelling, members keep their order, and a name that
/// appears twice is refused: two readers of one text would otherwise see two amounts.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Parses one whole text. White space around the value is allowed, anything else after it is not.
    public static func parse(_ bytes: ByteBuffer) throws(JSONError) -> JSONValue {
        try JSONScanner.scan(bytes) { (scanner) throws(JSONError) in try scanner.tree() }
    }

    /// The same for a string in memory.
    public static func parse(_ string: String) throws(JSONError) -> JSONValue {
        try parse(ByteBuffer(string: string))
    }
}

/// A number as it was written.
///
/// `1`, `1.0` and `1e0` are three spellings of one quantity, but only the first is an integer by the rules of this
/// project ("integers are written without fraction or exponent"), and a double holds none of them above 2^53.
public struct JSONNumber: Sendable, Equatable {
    /// The spelling, which follows the grammar of RFC 8259, section 6.
    public let text: String

    init(spelling text: String) {
        self.text = text
    }

    public init(_ integer: Int) {
        self.text = String(integer)
    }

    /// The exact integer, or nil for a spelling with fraction or exponent and for one that `Int` cannot hold.
    public var integer: Int? { Int(text) }
}

/// An object's members in the order of the text.
///
/// Equality minds the order. Look-up walks the list, for the objects that this server reads have a dozen members.
public struct JSONObject: Sendable, Equatable {
    public struct Member: Sendable, Equatable {
        public var name: String
        public var value: JSONValue

        public init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    public internal(set) var members: [Member]

    /// An object of these members, whose names the caller knows to differ.
    public init(members: [Member] = []) {
        self.members = members
    }

    /// The value of the member with exactly this name, or nil.
    ///
    /// Names are compared by their bytes. Swift's `==` takes canonically equivalent strings for equal: a member
    /// named with the Kelvin sign would answer to "K".
    public subscript(name: String) -> JSONValue? { index(of: name).map { members[$0].value } }

    /// Where that member stands among the `members`.
    func index(of name: String) -> Int? { members.firstIndex { $0.name.hasSameBytes(as: name) } }
}

extension String {
    /// Equality by bytes, which canonically equivalent strings don't have.
    func hasSameBytes(as other: String) -> Bool {
        // Most names differ by their lengths, which both strings know.
        guard utf8.count == other.utf8.count else { return false }
        var mine = self
        var others = other
        return mine.withUTF8 { mine in
            others.withUTF8 { others in mine.elementsEqual(others) }
        }
    }
}
