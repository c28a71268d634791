import NIOCore

/// A breach of RFC 6455 or of the size limit: what the close frame will say.
struct WebSocketViolation: Error, Equatable {
    var code: WebSocketCloseCode
    /// A sentence for the client's author.
    var reason: String
}

/// The header of a client's frame, checked.
///
/// Every rule that a header alone can break is here, and each is applied to the first byte that shows the breach:
/// a message too large is refused before its mask is read, let alone its payload.
struct WebSocketFrameHeader: Sendable {
    /// Two bytes, a 64-bit length, a mask.
    static let maximumSize = 14

    var isFinal: Bool
    var opcode: WebSocketOpcode
    /// The payload's length in bytes.
    var length: Int
    var mask: WebSocketMask
    /// The bytes that this header takes.
    var size: Int

    /// Reads the header at the beginning of `bytes`; nil when they end too soon.
    ///
    /// - Parameters:
    ///   - isContinuing: a fragmented message is open, so that the next data frame must continue it.
    ///   - room: the bytes that the message may still grow by.
    static func read(
        _ bytes: ByteBuffer, isContinuing: Bool, room: Int
    ) throws(WebSocketViolation) -> WebSocketFrameHeader? {
        guard let first: UInt8 = bytes.getInteger(at: bytes.readerIndex) else { return nil }
        let isFinal = first & 0x80 != 0
        let opcode = try opcode(first, isFinal: isFinal, isContinuing: isContinuing)

        guard let second: UInt8 = bytes.getInteger(at: bytes.readerIndex + 1) else { return nil }
        guard second & 0x80 != 0 else { throw .breach("A client's frames must be masked.") }
        let short = second & 0x7F
        if opcode.isControl, short > WebSocketFrame.maximumControlPayload {
            throw .breach("A control frame has at most 125 bytes.")
        }

        guard let (length, lengthSize) = try length(bytes, short: short) else { return nil }
        if !opcode.isControl, length > room {
            throw WebSocketViolation(code: .messageTooBig, reason: "The message is larger than this server allows.")
        }

        let keyOffset = 2 + lengthSize
        guard let key: UInt32 = bytes.getInteger(at: bytes.readerIndex + keyOffset) else { return nil }
        return WebSocketFrameHeader(
            isFinal: isFinal, opcode: opcode, length: length, mask: WebSocketMask(key: key), size: keyOffset + 4)
    }

    private static func opcode(
        _ first: UInt8, isFinal: Bool, isContinuing: Bool
    ) throws(WebSocketViolation) -> WebSocketOpcode {
        guard first & 0x70 == 0 else { throw .breach("A reserved bit is set, and no extension was agreed on.") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .breach("The opcode is reserved.") }
        switch opcode {
        case .continuation:
            guard isContinuing else { throw .breach("There is no message to continue.") }
        case .text, .binary:
            guard !isContinuing else { throw .breach("A new message began inside a fragmented one.") }
        case .close, .ping, .pong:
            guard isFinal else { throw .breach("A control frame must not be fragmented.") }
        }
        return opcode
    }

    /// The payload's length and the bytes of its extended form; nil when they have not all arrived.
    private static func length(
        _ bytes: ByteBuffer, short: UInt8
    ) throws(WebSocketViolation) -> (length: Int, size: Int)? {
        switch short {
        case 126:
            guard let length: UInt16 = bytes.getInteger(at: bytes.readerIndex + 2) else { return nil }
            guard length > 125 else { throw .breach("The length is not in its shortest form.") }
            return (Int(length), 2)
        case 127:
            guard let length: UInt64 = bytes.getInteger(at: bytes.readerIndex + 2) else { return nil }
            guard let exact = Int64(exactly: length) else { throw .breach("The length has its highest bit set.") }
            guard exact > 0xFFFF else { throw .breach("The length is not in its shortest form.") }
            return (Int(clamping: exact), 8)
        default:
            return (Int(short), 0)
        }
    }
}

extension WebSocketViolation {
    static func breach(_ reason: String) -> WebSocketViolation {
        WebSocketViolation(code: .protocolError, reason: reason)
    }
}
