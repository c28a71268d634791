import NIOCore

/// Bytes to messages: what of a frame or a fragmented message has arrived and is not yet whole.
///
/// The session keeps one only while there is such a thing. Nothing is reserved for what a header merely announces:
/// memory follows the bytes that came.
struct WebSocketAssembler: Sendable {
    enum Output {
        case message(WebSocketOpcode, ByteBuffer)
        case control(WebSocketOpcode, ByteBuffer)
    }

    /// A frame whose header is known and whose payload is arriving.
    private struct Frame {
        var opcode: WebSocketOpcode
        var isFinal: Bool
        var remaining: Int
        var mask: WebSocketMask
    }

    /// A data message, from its first frame's header to its last frame's end.
    private struct Message {
        var opcode: WebSocketOpcode
        /// Announced so far, over all fragments. Counted beside the bytes, which a closing session does not keep.
        var length = 0
        var bytes = ByteBuffer()
        var utf8 = UTF8Validator()
    }

    /// The beginning of a header that has not arrived whole.
    private var header = ByteBuffer()
    private var frame: Frame?
    private var message: Message?
    /// The payload of a control frame, apart from the message that it may interrupt.
    private var control = ByteBuffer()

    /// Whether nothing has begun: an idle connection need not keep this value.
    var isIdle: Bool { header.readableBytes == 0 && frame == nil && message == nil }

    /// Consumes `bytes` up to the end of the next message or control frame; nil when they end before it.
    ///
    /// - Parameters:
    ///   - limit: the largest message, in bytes.
    ///   - frames: counts the frames that end.
    ///   - isKeeping: false when messages are no longer wanted: their frames are followed, their bytes dropped.
    mutating func next(
        _ bytes: inout ByteBuffer, limit: Int, isKeeping: Bool, frames: inout UInt32
    ) throws(WebSocketViolation) -> Output? {
        while true {
            if frame == nil {
                guard try beginFrame(&bytes, limit: limit) else { return nil }
            }
            guard try readPayload(&bytes, isKeeping: isKeeping) else { return nil }
            frames &+= 1
            if let output = try endFrame(isKeeping: isKeeping) { return output }
        }
    }

    /// Lets go of what has been collected of a message that nobody will read.
    mutating func dropMessage() {
        message?.bytes = ByteBuffer()
    }

    /// Reads a header, with what came of it earlier; false when it is still not whole.
    private mutating func beginFrame(_ bytes: inout ByteBuffer, limit: Int) throws(WebSocketViolation) -> Bool {
        let isContinuing = message != nil
        let room = limit - (message?.length ?? 0)
        let found: WebSocketFrameHeader?
        let earlier = header.readableBytes
        if earlier == 0 {
            found = try .read(bytes, isContinuing: isContinuing, room: room)
        } else {
            let more = min(WebSocketFrameHeader.maximumSize - earlier, bytes.readableBytes)
            header.writeBytes(bytes.readableBytesView.prefix(more))
            found = try .read(header, isContinuing: isContinuing, room: room)
        }
        guard let found else {
            if earlier == 0 { header.writeBytes(bytes.readableBytesView) }
            bytes.moveReaderIndex(to: bytes.writerIndex)
            return false
        }
        bytes.moveReaderIndex(forwardBy: found.size - earlier)
        header = ByteBuffer()
        frame = Frame(opcode: found.opcode, isFinal: found.isFinal, remaining: found.length, mask: found.mask)
        if !found.opcode.isControl {
            if message == nil { message = Message(opcode: found.opcode) }
            message?.length += found.length
        }
        return true
    }

    /// Unmasks what has arrived of the payload; false when more is to come.
    private mutating func readPayload(_ bytes: inout ByteBuffer, isKeeping: Bool) throws(WebSocketViolation) -> Bool {
        guard var current = frame else { return true }
        let count = min(current.remaining, bytes.readableBytes)
        if count > 0 {
            if current.opcode.isControl {
                _ = Self.unmask(&bytes, count: count, mask: &current.mask, into: &control) { _ in true }
            } else if isKeeping, var message = self.message.take() {
                let isText = message.opcode == .text
                let isValid = Self.unmask(&bytes, count: count, mask: &current.mask, into: &message.bytes) { piece in
                    !isText || message.utf8.accept(piece)
                }
                guard isValid else { throw .invalidText }
                self.message = message
            } else {
                bytes.moveReaderIndex(forwardBy: count)
            }
            current.remaining -= count
            frame = current
        }
        return current.remaining == 0
    }

    private static func unmask(
        _ bytes: inout ByteBuffer, count: Int, mask: inout WebSocketMask, into target: inout ByteBuffer,
        check: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        var isValid = true
        bytes.readWithUnsafeReadableBytes { readable in
            let source = UnsafeRawBufferPointer(rebasing: readable[..<count])
            target.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { free in
                mask.apply(source, to: free)
                isValid = check(UnsafeRawBufferPointer(rebasing: free[..<count]))
                return count
            }
            return count
        }
        return isValid
    }

    /// Closes the frame; returns what has become whole by it.
    private mutating func endFrame(isKeeping: Bool) throws(WebSocketViolation) -> Output? {
        guard let ended = frame.take() else { return nil }
        if ended.opcode.isControl {
            let payload = control
            control = ByteBuffer()
            return .control(ended.opcode, payload)
        }
        guard ended.isFinal, let message = message.take() else { return nil }
        if isKeeping, message.opcode == .text, !message.utf8.isComplete { throw .invalidText }
        return .message(message.opcode, message.bytes)
    }
}

extension WebSocketViolation {
    static let invalidText = WebSocketViolation(code: .invalidPayload, reason: "The text is not valid UTF-8.")
}
