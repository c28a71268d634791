import Glibc

/// The system's own chance, which nobody can guess, fetched for several draws at once: each time is a system call.
///
/// Can't be copied: a copy would draw the same once more.
public struct Chance: ~Copyable {
    /// Draws of one fetch at most: the system gives 256 bytes at a time.
    private static let most = 32

    private var waiting: [UInt64] = []
    private let draws: Int

    /// - Parameter draws: how many there will be, as far as one knows.
    public init(draws: Int) { self.draws = min(max(draws, 1), Self.most) }

    public mutating func draw() -> UInt64 {
        if let draw = waiting.popLast() { return draw }
        waiting = Array(unsafeUninitializedCapacity: draws) { [draws] buffer, count in
            guard getentropy(buffer.baseAddress!, draws * MemoryLayout<UInt64>.size) == 0 else {
                fatalError("the system has no chance to give")
            }
            count = draws
        }
        return waiting.removeLast()
    }
}
