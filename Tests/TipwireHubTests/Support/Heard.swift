import NIOCore
import TipwireCore
import TipwireHub
import TipwireTestSupport

/// What a listener's client has heard. Where no real socket lies before it, also what lies there: a transport that keeps, in
/// order, what the kernel did not take.
struct Heard: Sendable {
    /// Whether the kernel takes what is written while nothing is kept.
    enum Keeping: Sendable {
        /// It takes everything.
        case never
        /// It takes nothing.
        case always
        /// It takes all, a part or nothing.
        case byChance(TestSeed)
    }

    private enum Kept: Sendable {
        case bytes(ByteBuffer)
        case start(Resumption, epoch: String)
    }

    /// How its bytes are read.
    var dialect = Dialect.pally
    var isWritable = true
    /// The sequences of the events, in the order in which they came.
    var sequences: [Int64] = []
    /// The same, one list for each time that bytes came.
    var writes: [[Int64]] = []
    /// The highest of them, wherever it came.
    private(set) var furthest: Int64 = 0
    /// The messages' payloads.
    var frames: [ByteBuffer] = []
    var resumptions: [Resumption] = []
    var epoch: String?
    /// Events that had come before the first word about the start.
    var eventsBeforeResumption = 0
    var probes = 0
    var end: EndReason?
    /// Writes, probes or words that came after the end.
    var afterEnd = 0
    /// Writes that came while nothing was taken.
    var whileUnwritable = 0
    /// After this many more writes the connection takes nothing, as a full socket buffer would; nil: never.
    var writesUntilFull: Int?
    /// Bytes of a message whose end has not come.
    private(set) var unfinished = ByteBuffer()
    /// What came is no message of the dialect: bytes are missing, or stand where others belong.
    private(set) var isGarbled = false
    /// Bytes that were written to the connection, and bytes that came to the client.
    var written = 0
    private(set) var arrived = 0
    /// Its socket takes so many bytes of each message; nil leaves that to chance.
    var cut: Int?
    /// The sizes of the messages that went to its socket.
    private(set) var direct: [Int] = []
    /// Its socket took the beginning of a message; the rest comes by a write, whether or not there is room.
    private(set) var hasRestComing = false
    var keeping = Keeping.never
    private var kept: [Kept] = []
    /// How often the connection began to keep bytes.
    var timesHeld = 0
    /// Messages that went to the socket while bytes before them were kept.
    private(set) var overtakes = 0

    /// Something went past the connection, to its socket.
    var hadDirect: Bool { arrived > written }

    var isHolding: Bool { !kept.isEmpty }

    var keptBytes: Int {
        kept.reduce(0) { if case .bytes(let bytes) = $1 { $0 + bytes.readableBytes } else { $0 } }
    }

    /// Bytes are written to the connection.
    ///
    /// - Returns: whether it begins to keep some.
    mutating func write(_ bytes: ByteBuffer) -> Bool {
        if end != nil { afterEnd += 1 }
        if !isWritable, !hasRestComing { whileUnwritable += 1 }
        hasRestComing = false
        written += bytes.readableBytes
        let wasHolding = isHolding
        let taken = wasHolding ? 0 : room(for: bytes.readableBytes)
        countWrite()
        var rest = bytes
        if let beginning = rest.readSlice(length: taken), taken > 0 { arrive(beginning) }
        if rest.readableBytes > 0 { kept.append(.bytes(rest)) }
        if wasHolding, case .byChance(var seed) = keeping {
            // Meanwhile there is room for some of what has waited.
            let drained = isWritable && seed.chance(30) ? Int.random(in: 1...2 * keptBytes, using: &seed) : 0
            keeping = .byChance(seed)
            drain(drained)
        }
        return !wasHolding && isHolding
    }

    /// The socket has taken a message, or the beginning of one, or nothing.
    mutating func sent(_ bytes: ByteBuffer, of count: Int) {
        direct.append(count)
        if bytes.readableBytes > 0 {
            if end != nil { afterEnd += 1 }
            if !isWritable { whileUnwritable += 1 }
            countWrite()
            if isHolding {
                // Counted, and put where it belongs: everything else that is wrong shows as well.
                overtakes += 1
                kept.append(.bytes(bytes))
            } else {
                arrive(bytes)
            }
        }
        if bytes.readableBytes < count { hasRestComing = true }
    }

    /// The word about the start is said.
    ///
    /// - Returns: whether the connection begins to keep something.
    mutating func start(_ resumption: Resumption, epoch: String) -> Bool {
        if end != nil { afterEnd += 1 }
        if !isHolding, room(for: 1) == 1 {
            hear(resumption, epoch: epoch)
            return false
        }
        defer { kept.append(.start(resumption, epoch: epoch)) }
        return !isHolding
    }

    /// There is room for so many bytes of what is kept.
    mutating func drain(_ count: Int = .max) {
        var left = count
        while left > 0, let first = kept.first {
            kept.removeFirst()
            switch first {
            case .start(let resumption, let epoch): hear(resumption, epoch: epoch)
            case .bytes(var bytes):
                let taken = min(left, bytes.readableBytes)
                left -= taken
                if let beginning = bytes.readSlice(length: taken) { arrive(beginning) }
                if bytes.readableBytes > 0 { kept.insert(.bytes(bytes), at: 0) }
            }
        }
    }

    private mutating func room(for count: Int) -> Int {
        // A full socket has no room for a byte.
        guard isWritable else { return 0 }
        switch keeping {
        case .never: return count
        case .always: return 0
        case .byChance(var seed):
            defer { keeping = .byChance(seed) }
            return seed.chance(75) ? count : seed.chance(50) ? 0 : Int.random(in: 0...count, using: &seed)
        }
    }

    private mutating func countWrite() {
        guard let left = writesUntilFull else { return }
        writesUntilFull = left > 1 ? left - 1 : nil
        if left <= 1 { isWritable = false }
    }

    mutating func hear(_ resumption: Resumption, epoch: String) {
        eventsBeforeResumption = sequences.count
        resumptions.append(resumption)
        self.epoch = epoch
    }

    /// Bytes come to the client.
    mutating func arrive(_ bytes: ByteBuffer) {
        arrived += bytes.readableBytes
        unfinished.writeImmutableBuffer(bytes)
        var sequences: [Int64] = []
        do {
            while !isGarbled, let message = try dialect.takeMessage(from: &unfinished) {
                sequences.append(try dialect.sequence(of: message))
                frames.append(message)
            }
        } catch {
            isGarbled = true
        }
        self.sequences += sequences
        furthest = max(furthest, sequences.max() ?? 0)
        writes.append(sequences)
    }
}

/// What came can't be read.
private struct Nonsense: Error {}

extension Dialect {
    /// Takes the payload of a whole message from the beginning of the bytes; nil if its end has not come.
    fileprivate func takeMessage(from bytes: inout ByteBuffer) throws -> ByteBuffer? {
        var rest = bytes
        let message = if case .eventHook = self { try Self.takeChunk(&rest) } else { try Self.takeFrame(&rest) }
        if message != nil { bytes = rest }
        return message
    }

    /// An unmasked text frame, no longer than one event may be.
    private static func takeFrame(_ bytes: inout ByteBuffer) throws -> ByteBuffer? {
        guard let first: UInt8 = bytes.readInteger() else { return nil }
        guard first == 0x81 else { throw Nonsense() }
        guard let short: UInt8 = bytes.readInteger() else { return nil }
        guard short <= 126 else { throw Nonsense() }
        let length = short == 126 ? bytes.readInteger(as: UInt16.self).map(Int.init) : Int(short)
        return length.flatMap { bytes.readSlice(length: $0) }
    }

    /// A chunk of HTTP/1.1.
    private static func takeChunk(_ bytes: inout ByteBuffer) throws -> ByteBuffer? {
        guard let lineEnd = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\r")) else {
            if bytes.readableBytes > 8 { throw Nonsense() }
            return nil
        }
        let digits = bytes.readString(length: lineEnd - bytes.readerIndex) ?? ""
        guard let length = Int(digits, radix: 16) else { throw Nonsense() }
        guard let chunk = bytes.readSlice(length: length + 4) else { return nil }
        guard let end = chunk.getString(at: chunk.writerIndex - 2, length: 2), end == "\r\n" else { throw Nonsense() }
        return chunk.getSlice(at: chunk.readerIndex + 2, length: length)
    }

    /// The sequence in a message's cursor, which stands at the end of a notification, `…"cursor":"0f3a9c11-42"}`, and at the
    /// beginning elsewhere: `id: 0f3a9c11-42`, `{"cursor":"0f3a9c11-42",…`.
    fileprivate func sequence(of message: ByteBuffer) throws -> Int64 {
        let text: Substring?
        switch self {
        case .pally, .eventSub:
            let tail = String(decoding: message.readableBytesView.suffix(80), as: UTF8.self)
            guard tail.hasSuffix("\"}") else { throw Nonsense() }
            text = tail.dropLast(2).split(separator: "\"").last
        case .eventHook:
            let head = String(decoding: message.readableBytesView.prefix(80), as: UTF8.self)
            guard head.hasPrefix("id: ") else { throw Nonsense() }
            text = head.dropFirst(4).split(separator: "\n").first
        case .overlay:
            let head = String(decoding: message.readableBytesView.prefix(80), as: UTF8.self)
            guard head.hasPrefix("{\"cursor\":\"") else { throw Nonsense() }
            text = head.dropFirst(11).split(separator: "\"").first
        }
        guard let cursor = text.flatMap({ Cursor(String($0)) }) else { throw Nonsense() }
        return cursor.sequence
    }
}
