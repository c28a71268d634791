import NIOCore

/// Reads an event stream (`text/event-stream`, WHATWG HTML, sections 9.2.5 and 9.2.6) that arrives in pieces, cut anywhere.
///
/// A value without IO. What it holds is one message at most: the data of its whole lines and what has come of the line
/// that isn't whole yet. A message that the stream breaks off is never given out, for nobody could tell it from a whole
/// one.
///
/// Lines are cut in bytes and decoded afterwards. That is the same as decoding first, as the standard words it: a line
/// end is ASCII, and no decoder takes an ASCII byte for a part of a longer sequence, be it broken.
public struct EventStreamParser: Sendable {
    /// What a client is given: one block of lines with at least one `data` field.
    public struct Message: Hashable, Sendable {
        /// The `event` field, or `message` without one.
        public let type: String
        /// The `data` fields, with a line feed between each and the next.
        public let data: String
        /// The last `id` of the stream up to here, this block's or an earlier one's; empty without any.
        public let lastEventID: String

        public init(type: String = "message", data: String, lastEventID: String = "") {
            self.type = type
            self.data = data
            self.lastEventID = lastEventID
        }
    }

    /// A message or a line passed the limit. The stream isn't read on: where the next message begins could be told, but
    /// the one before it would be missing without a word.
    public struct Oversized: Error, Hashable, Sendable {
        public let limit: Int
    }

    /// The position to go on from after a break: the `id` of the last block that was whole, whether it gave a message or
    /// not.
    public private(set) var lastEventID: String
    /// The last wait before reconnecting that the server asked for. It is for the caller to heed.
    public private(set) var retryMilliseconds: Int?

    private let limit: Int
    /// What has come of a line whose end hasn't.
    private var line = ByteBuffer()
    /// The line feed that may come next belongs to the carriage return before it.
    private var isAfterCarriageReturn = false
    private var isFirstLine = true
    private var isOversized = false
    /// The block's data, each field ended by a line feed; nil before its first.
    private var data: ByteBuffer?
    private var type = ByteBuffer()
    /// The `id` that becomes `lastEventID` at the block's end. It stands from one block to the next.
    private var blockID: String

    /// - Parameters:
    ///   - limit: Most bytes that are held at a time: a message's data up to here, its type, and the line under way, a
    ///     comment too.
    ///   - lastEventID: Where the stream before this one was, for messages that have no `id` of their own.
    public init(limit: Int, lastEventID: String = "") {
        self.limit = limit
        self.lastEventID = lastEventID
        blockID = lastEventID
    }

    /// Whether a `Content-Type` names an event stream, with whatever parameters: the form is always UTF-8.
    public static func isEventStream(contentType: String) -> Bool {
        let essence = contentType.prefix { $0 != ";" }
        return essence.trimming { $0 == " " || $0 == "\t" }.lowercased() == "text/event-stream"
    }

    /// Consumes `bytes` up to the end of the next message; nil when they end before it.
    ///
    /// How the stream is cut never matters: neither for the messages, nor for what comes before an `Oversized`. That is
    /// thrown at each further call too.
    public mutating func next(_ bytes: inout ByteBuffer) throws(Oversized) -> Message? {
        while let end = try readLine(&bytes) {
            let isBlank = line.readableBytes == 0
            if !isBlank { take(field: line) }
            line.clear()
            isAfterCarriageReturn = end == Self.carriageReturn
            if isBlank, let message = dispatch() { return message }
        }
        return nil
    }

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
}

extension EventStreamParser {
    /// Completes `line` and consumes its end; nil when the bytes end before it.
    ///
    /// A carriage return ends the line at once. Waiting for the line feed that may follow would hold a message back
    /// until the next one comes.
    ///
    /// - Returns: the line's end, the carriage return of a pair.
    private mutating func readLine(_ bytes: inout ByteBuffer) throws(Oversized) -> UInt8? {
        guard !isOversized else { throw Oversized(limit: limit) }
        if isAfterCarriageReturn, let next = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) {
            isAfterCarriageReturn = false
            if next == Self.lineFeed { bytes.moveReaderIndex(forwardBy: 1) }
        }
        let view = bytes.readableBytesView
        let end = view.firstIndex { $0 == Self.lineFeed || $0 == Self.carriageReturn }
        let count = (end ?? view.endIndex) - view.startIndex
        guard line.readableBytes + count + (data?.readableBytes ?? 0) + type.readableBytes <= limit else {
            isOversized = true
            line = ByteBuffer()
            data = nil
            throw Oversized(limit: limit)
        }
        line.writeImmutableBuffer(bytes.readSlice(length: count) ?? ByteBuffer())
        guard end != nil, let byte = bytes.readInteger(as: UInt8.self) else { return nil }
        if isFirstLine {
            isFirstLine = false
            if line.readableBytesView.starts(with: Self.byteOrderMark) { line.moveReaderIndex(forwardBy: 3) }
        }
        return byte
    }

    /// Takes in one line that isn't blank.
    private mutating func take(field line: ByteBuffer) {
        let view = line.readableBytesView
        let colon = view.firstIndex(of: UInt8(ascii: ":")) ?? view.endIndex
        var value = view[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        // Names count only in exactly these bytes. An empty one begins a comment.
        switch String(decoding: view[..<colon], as: UTF8.self) {
        case "data":
            if data == nil { data = ByteBuffer() }
            data?.writeBytes(value)
            data?.writeInteger(Self.lineFeed)
        case "event":
            type.clear()
            type.writeBytes(value)
        case "id":
            if !value.contains(0) { blockID = String(decoding: value, as: UTF8.self) }
        case "retry":
            let isDigits = !value.isEmpty && value.allSatisfy { (0x30...0x39).contains($0) }
            // More than `Int` can hold is no wait that anybody means.
            if isDigits, let wait = Int(String(decoding: value, as: UTF8.self)) { retryMilliseconds = wait }
        default: break
        }
    }

    /// Ends the block; nil for one without data.
    private mutating func dispatch() -> Message? {
        lastEventID = blockID
        let name = String(buffer: type)
        type.clear()
        guard var lines = data.take() else { return nil }
        lines.moveWriterIndex(to: lines.writerIndex - 1)
        return Message(
            type: name.isEmpty ? "message" : name, data: String(buffer: lines), lastEventID: lastEventID)
    }
}

extension StringProtocol {
    fileprivate func trimming(_ isTrimmed: (Character) -> Bool) -> SubSequence {
        var rest = self[...]
        while let first = rest.first, isTrimmed(first) { rest.removeFirst() }
        while let last = rest.last, isTrimmed(last) { rest.removeLast() }
        return rest
    }
}
