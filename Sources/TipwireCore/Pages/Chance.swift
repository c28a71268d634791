import Glibc

/// The system's own chance, which nobody can guess, fetched for several draws at once: each time is a system call.
public struct Chance: RandomNumberGenerator {
    /// Draws of one fetch at most: the system gives 256 bytes at a time.
    private static let most = 32

    private var waiting: [UInt64] = []
    private let draws: Int

    /// - Parameter draws: how many there will be, as far as one knows.
    public init(draws: Int) { self.draws = min(max(draws, 1), Self.most) }

    public mutating func next() -> UInt64 {
        if let draw = waiting.popLast() { return draw }
        waiting = Array(unsafeUninitializedCapacity: draws) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            precondition(getentropy(bytes.baseAddress!, bytes.count) == 0, "the system has no chance to give")
            count = draws
        }
        return waiting.removeLast()
    }
}
