import Glibc

/// Reads server-sent events: lines, in chunks or as they are.
///
/// A message is counted by its `data:` line, since every server here writes one for each. Lines that go from one chunk
/// into the next would be good HTTP, but no server here writes them; they are told as a fault and not read wrongly.
struct EventStreamReader {
    /// Bytes of the present chunk that were not read yet, the line end that closes it included. A stream without
    /// chunks is one that never ends.
    private var left = 0

    init() {}

    /// - Parameter head: the answer's, which says whether there are chunks.
    init(head: ArraySlice<UInt8>) {
        if HTTPText.field("transfer-encoding", of: head) == nil { left = .max }
    }

    /// The next piece, or nil when what is left is the beginning of a line. Moves `offset` behind what was read.
    @inline(__always)
    mutating func next(in bytes: UnsafeRawBufferPointer, at offset: inout Int) -> StreamPiece? {
        while offset < bytes.count {
            if left == 0 {
                guard let line = Self.line(in: bytes, at: offset, within: bytes.count - offset) else { return nil }
                guard let size = Self.size(line) else { return .broken("something else where a chunk should begin") }
                guard size > 0 else { return .broken("the server ended the stream") }
                left = size + 2
                offset += line.count + 1
            }
            guard let line = Self.line(in: bytes, at: offset, within: min(left, bytes.count - offset)) else {
                return nil
            }
            offset += line.count + 1
            left -= line.count + 1
            if left == 0 {
                // The line end after a chunk's content is all that may stand there.
                guard line.count == 1 else { return .broken("a line that goes beyond its chunk") }
                continue
            }
            if let piece = Self.piece(line) { return piece }
        }
        return nil
    }

    /// Bytes up to the next line feed, which is not among them.
    @inline(__always)
    private static func line(
        in bytes: UnsafeRawBufferPointer, at offset: Int, within count: Int
    ) -> UnsafeRawBufferPointer? {
        guard count > 0, let start = bytes.baseAddress.map({ $0 + offset }), let end = memchr(start, 10, count) else {
            return nil
        }
        return UnsafeRawBufferPointer(start: start, count: UnsafeRawPointer(end) - start)
    }

    /// What a line means; nil for one that means nothing here: empty, a comment, an `id:`, the greeting.
    @inline(__always)
    private static func piece(_ line: UnsafeRawBufferPointer) -> StreamPiece? {
        guard let first = line.first, first != UInt8(ascii: ":") else { return nil }
        guard starts(line, with: "data: ") else { return starts(line, with: "id: ") ? nil : .foreign }
        let message = UnsafeRawBufferPointer(rebasing: line[6...])
        if let number = EventMessage.number(of: message) { return .event(sequence: number, size: message.count) }
        return starts(message, with: #"{"type":"connected"}"#) ? nil : .foreign
    }

    @inline(__always)
    private static func starts(_ bytes: UnsafeRawBufferPointer, with text: StaticString) -> Bool {
        bytes.count >= text.utf8CodeUnitCount && memcmp(bytes.baseAddress!, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    /// The size that a chunk's first line tells: hexadecimal digits and a carriage return.
    @inline(__always)
    private static func size(_ line: UnsafeRawBufferPointer) -> Int? {
        guard (2...8).contains(line.count), line.last == 13 else { return nil }
        var size = 0
        for byte in line.dropLast() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): size = size << 4 | Int(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): size = size << 4 | Int(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): size = size << 4 | Int(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return size
    }
}
