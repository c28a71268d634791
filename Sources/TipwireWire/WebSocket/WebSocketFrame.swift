import NIOCore

/// Encoders: a message or control frame to the bytes that go out.
///
/// An event is encoded once and the buffer shared by all its subscribers, so these return whole frames rather than
/// passing through a channel handler per connection. A server never masks and never fragments.
public enum WebSocketFrame {
    /// The longest payload of a control frame, in bytes (RFC 6455, section 5.5).
    public static let maximumControlPayload = 125

    /// The longest header that a server writes: two bytes and a 64-bit length.
    public static let maximumServerHeader = 10

    public static func text(_ payload: ByteBuffer) -> ByteBuffer { frame(.text, payload) }

    public static func binary(_ payload: ByteBuffer) -> ByteBuffer { frame(.binary, payload) }

    /// `payload` has at most 125 bytes.
    public static func ping(_ payload: ByteBuffer = ByteBuffer()) -> ByteBuffer { frame(.ping, payload) }

    /// `payload` is the ping's, so it has at most 125 bytes.
    public static func pong(_ payload: ByteBuffer) -> ByteBuffer { frame(.pong, payload) }

    /// A close frame. The reason is cut to what fits: 123 bytes, and never inside a character.
    public static func close(_ code: WebSocketCloseCode, reason: String = "") -> ByteBuffer {
        precondition(code.mayBeSent, "close code \(code.rawValue) must not travel")
        var payload = ByteBuffer()
        payload.writeInteger(code.rawValue)
        payload.writeSubstring(fitting(reason, into: maximumControlPayload - 2))
        return frame(.close, payload)
    }

    /// Bytes of a whole, unmasked text frame.
    public static func textSize(payloadLength: Int) -> Int {
        payloadLength + (payloadLength < 126 ? 2 : payloadLength <= 0xFFFF ? 4 : maximumServerHeader)
    }

    /// Puts the header of such a frame where its bytes are put together; its payload goes behind it.
    ///
    /// - Returns: how many bytes it takes.
    public static func putTextHeader(payloadLength: Int, into place: UnsafeMutableRawBufferPointer) -> Int {
        putHeader(.text, isFinal: true, length: payloadLength, isMasked: false, into: place)
    }

    /// A frame as a client sends it. `key` is the masking key, its first byte highest.
    public static func masked(
        opcode: WebSocketOpcode, payload: ByteBuffer, key: UInt32, fin: Bool = true
    ) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: payload.readableBytes + maximumServerHeader + 4)
        writeHeader(opcode, isFinal: fin, length: payload.readableBytes, isMasked: true, into: &buffer)
        buffer.writeInteger(key)
        var mask = WebSocketMask(key: key)
        payload.withUnsafeReadableBytes { source in
            _ = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: source.count) { target in
                mask.apply(source, to: target)
                return source.count
            }
        }
        return buffer
    }

    /// The close frame without a payload: the answer to one that had none.
    static var emptyClose: ByteBuffer { frame(.close, ByteBuffer()) }

    private static func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) -> ByteBuffer {
        precondition(!opcode.isControl || payload.readableBytes <= maximumControlPayload, "control frame too long")
        var buffer = ByteBufferAllocator().buffer(capacity: payload.readableBytes + maximumServerHeader)
        writeHeader(opcode, isFinal: true, length: payload.readableBytes, isMasked: false, into: &buffer)
        buffer.writeImmutableBuffer(payload)
        return buffer
    }

    private static func writeHeader(
        _ opcode: WebSocketOpcode, isFinal: Bool, length: Int, isMasked: Bool, into buffer: inout ByteBuffer
    ) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: maximumServerHeader) { place in
            putHeader(opcode, isFinal: isFinal, length: length, isMasked: isMasked, into: place)
        }
    }

    /// - Returns: how many bytes it takes.
    private static func putHeader(
        _ opcode: WebSocketOpcode, isFinal: Bool, length: Int, isMasked: Bool, into place: UnsafeMutableRawBufferPointer
    ) -> Int {
        let maskBit: UInt8 = isMasked ? 0x80 : 0
        place[0] = opcode.rawValue | (isFinal ? 0x80 : 0)
        switch length {
        case 0...125:
            place[1] = maskBit | UInt8(length)
            return 2
        case 126...0xFFFF:
            place[1] = maskBit | 126
            place.storeBytes(of: UInt16(length).bigEndian, toByteOffset: 2, as: UInt16.self)
            return 4
        default:
            place[1] = maskBit | 127
            place.storeBytes(of: UInt64(length).bigEndian, toByteOffset: 2, as: UInt64.self)
            return maximumServerHeader
        }
    }

    /// The longest beginning of `text` that ends between characters and has at most `limit` bytes.
    private static func fitting(_ text: String, into limit: Int) -> Substring {
        guard text.utf8.count > limit else { return text[...] }
        var length = 0
        return text.prefix { character in
            length += character.utf8.count
            return length <= limit
        }
    }
}
