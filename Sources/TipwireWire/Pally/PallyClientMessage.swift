import NIOCore

/// What a Pally client may say: keep-alive, a line test, or something that is nobody's business.
///
/// The original answers two messages and ignores the rest, so nothing here is an error.
public enum PallyClientMessage: Sendable, Equatable {
    /// The text `ping`, or an object of type `ping`. The answer is the text `pong`.
    case ping
    /// The payload of an object of type `echo`, byte for byte as the client spelt it: the answer.
    case echo(ByteBuffer)
    /// Anything else, JSON or not. No answer.
    case other

    /// Reads one text message. Of a repeated `type` or `payload` the first counts.
    ///
    /// Most messages are the bare `ping` of a hundred thousand sockets, which is told from its bytes alone.
    public static func parse(_ text: ByteBuffer) -> PallyClientMessage {
        switch text.withUnsafeReadableBytes(glance) {
        case .ping: return .ping
        case .object: return parseObject(text)
        case .other: return .other
        }
    }

    /// Whether a text is the bare word `ping`, in any case, white space around it allowed.
    static func isPing(_ text: ByteBuffer) -> Bool { text.withUnsafeReadableBytes(glance) == .ping }

    private enum Glance {
        case ping
        case object
        case other
    }

    /// What the bytes look like, white space aside; allocates nothing.
    private static func glance(_ bytes: UnsafeRawBufferPointer) -> Glance {
        var start = bytes.startIndex
        var end = bytes.endIndex
        while start < end, isWhiteSpace(bytes[start]) { start += 1 }
        while end > start, isWhiteSpace(bytes[end - 1]) { end -= 1 }
        guard start < end else { return .other }
        if bytes[start] == UInt8(ascii: "{") { return .object }
        // Bit 5 is the case of an ASCII letter. No other byte becomes one of these four letters by it.
        guard end - start == 4,
            bytes[start] | 0x20 == UInt8(ascii: "p"), bytes[start + 1] | 0x20 == UInt8(ascii: "i"),
            bytes[start + 2] | 0x20 == UInt8(ascii: "n"), bytes[start + 3] | 0x20 == UInt8(ascii: "g")
        else { return .other }
        return .ping
    }

    /// ASCII's white space: tab to carriage return, and the space.
    private static func isWhiteSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte)
    }

    private static func parseObject(_ text: ByteBuffer) -> PallyClientMessage {
        var type: JSONSpan?
        var payload: JSONSpan?
        let isObject = JSONScanner.forEachTopLevelMember(of: text) { member in
            if type == nil, member.name == "type" { type = member }
            if payload == nil, member.name == "payload" { payload = member }
        }
        guard isObject else { return .other }
        switch (type?.string, payload) {
        case ("ping", _): return .ping
        case ("echo", .some(let payload)): return .echo(payload.raw)
        default: return .other
        }
    }
}
