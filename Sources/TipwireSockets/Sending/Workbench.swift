/// Where messages are put together that are one socket's alone, until they are sent.
///
/// One piece of memory, used over and over, and small enough to stay in the processor's cache. A copy into it is cheaper than
/// to have the kernel gather a message from two places: a list of pieces costs it more than the bytes of a tip.
final class Workbench {
    /// What is on it at a time. A message that is longer has a place of its own.
    static let bytes = 256 * 1_024

    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
    private var used = 0
    private var large: [UnsafeMutableRawBufferPointer] = []

    deinit {
        clear()
        memory.deallocate()
    }

    /// False if what is on it has to be sent first.
    func hasRoom(for size: Int) -> Bool { size > Self.bytes || used + size <= Self.bytes }

    /// A place that stays as it is until all are cleared; there must be room for it.
    func place(of size: Int) -> UnsafeMutableRawBufferPointer {
        guard size <= Self.bytes else {
            let place = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
            large.append(place)
            return place
        }
        defer { used += size }
        return UnsafeMutableRawBufferPointer(rebasing: memory[used..<(used + size)])
    }

    func clear() {
        used = 0
        for place in large { place.deallocate() }
        large.removeAll()
    }
}
