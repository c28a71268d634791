import NIOCore

/// One member of a JSON object as it stands in the text: its name, and its value's bytes.
///
/// For whoever passes a value on and must not respell it: the bytes keep the order of members, the spelling of
/// numbers and the white space inside. They share the text's memory.
public struct JSONSpan: Sendable, Equatable {
    /// The name, escapes resolved. One that no string can hold (half of a surrogate pair) is the empty string.
    public let name: String

    /// The value's bytes, without the white space around it.
    public let raw: ByteBuffer

    /// The value, if it is a string.
    public var string: String? {
        guard case .string(let string) = try? JSONValue.parse(raw) else { return nil }
        return string
    }
}

extension JSONScanner {
    /// The members of the object that `text` is, in its order and with repetitions; nil when it is not JSON or not
    /// an object. The text is checked whole, so each span is a JSON value by itself.
    public static func topLevelMembers(of text: ByteBuffer) -> [JSONSpan]? {
        var spans: [JSONSpan] = []
        let isObject = forEachTopLevelMember(of: text) { spans.append($0) }
        return isObject ? spans : nil
    }

    /// The same without a list. `body` also sees the members before a mistake: wait for the answer before acting.
    static func forEachTopLevelMember(of text: ByteBuffer, _ body: (JSONSpan) -> Void) -> Bool {
        do throws(JSONError) {
            try scan(text) { (scanner) throws(JSONError) in
                guard scanner.current == UInt8(ascii: "{") else { throw scanner.error("This is not an object.") }
                try scanner.object { (scanner, token) throws(JSONError) in
                    let start = scanner.index
                    try scanner.skipValue()
                    // The range was just walked, so the slice exists.
                    let raw = text.getSlice(at: text.readerIndex + start, length: scanner.index - start)
                    body(JSONSpan(name: (try? scanner.decode(token)) ?? "", raw: raw ?? ByteBuffer()))
                }
            }
            return true
        } catch {
            return false
        }
    }
}
