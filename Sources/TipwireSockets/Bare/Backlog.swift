import NIOCore

/// What the kernel had no room for, in order.
///
/// An event that a thousand stalled listeners wait for is there once: pieces are kept as they came. Small ones, of which each
/// would cost more than it is, are put together.
final class Backlog {
    /// Bytes of a piece that is copied rather than kept.
    private static let small = 512
    /// Bytes of the copies that are put together. A buffer gives nothing back of what was sent of it, so it must come to an end.
    private static let together = 4_096

    private var pieces = CircularBuffer<ByteBuffer>(initialCapacity: 2)
    /// The bytes that were added to the last piece, if that is made of copies; nil if it isn't.
    private var copied: Int?
    private(set) var count = 0

    func append(_ piece: ByteBuffer) {
        count += piece.readableBytes
        guard piece.readableBytes < Self.small else {
            pieces.append(piece)
            copied = nil
            return
        }
        let together = (copied ?? 0) + piece.readableBytes
        if copied == nil || together > Self.together {
            pieces.append(ByteBufferAllocator().buffer(capacity: Self.small))
            copied = piece.readableBytes
        } else {
            copied = together
        }
        pieces[pieces.index(before: pieces.endIndex)].writeImmutableBuffer(piece)
    }

    /// Bytes of memory that the pieces hold.
    var capacity: Int { pieces.reduce(0) { $0 + $1.storageCapacity } }

    /// The first piece; nil if there is none.
    var first: ByteBuffer? { pieces.first }

    /// So many bytes of the first piece have been sent.
    func remove(_ sent: Int) {
        count -= sent
        if sent == pieces[pieces.startIndex].readableBytes {
            pieces.removeFirst()
            if pieces.isEmpty { copied = nil }
        } else {
            pieces[pieces.startIndex].moveReaderIndex(forwardBy: sent)
        }
    }
}
