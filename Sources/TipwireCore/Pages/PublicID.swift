/// Makers of the ids that the outside sees. None can be guessed from another.
public enum PublicID {
    /// 24 characters of `[a-z0-9]`, the first a letter: the shape of a tip's id. 123 random bits.
    public static func random() -> String {
        String(unsafeUninitializedCapacity: length) { bytes in
            var chance = Chance(draws: 4)
            bytes[0] = UInt8(ascii: "a") + UInt8(chance.draw() % 26)
            fill(bytes[1..<length], by: &chance)
            return length
        }
    }

    /// An id that sorts behind those of before: `t`, eight digits of the milliseconds, fifteen of chance.
    ///
    /// An index takes such ones in at its end. Random ones go each into another of its pages, and every page that a commit
    /// changes is written whole.
    public static func ordered(at time: Timestamp, by chance: inout Chance) -> String {
        String(unsafeUninitializedCapacity: length) { bytes in
            bytes[0] = UInt8(ascii: "t")
            var rest = UInt64(max(0, time.milliseconds))
            for index in (1...8).reversed() { bytes[index] = digit(&rest) }
            fill(bytes[9..<length], by: &chance)
            return length
        }
    }

    /// Draws of chance that an ordered one takes.
    public static let orderedDraws = 2

    private static let length = 24

    /// Takes the last of a number's digits off, of which there are 36, in the order in which texts are compared.
    private static func digit(_ number: inout UInt64) -> UInt8 {
        let digits: StaticString = "0123456789abcdefghijklmnopqrstuvwxyz"
        defer { number /= 36 }
        return digits.utf8Start[Int(number % 36)]
    }

    private static func fill(_ bytes: Slice<UnsafeMutableBufferPointer<UInt8>>, by chance: inout Chance) {
        var bytes = bytes
        // Eight characters of one draw: 36 to the 8th is so far below 2 to the 64th that no character is noticeably likelier than
        // another.
        var rest: UInt64 = 0
        for (count, index) in bytes.indices.enumerated() {
            if count % 8 == 0 { rest = chance.draw() }
            bytes[index] = digit(&rest)
        }
    }

    /// A page's id: milliseconds, `x`, 18 random digits.
    public static func page(at time: Timestamp) -> String {
        "\(time.milliseconds)x\(Int.random(in: 100_000_000_000_000_000...999_999_999_999_999_999))"
    }

    /// Eight hex characters: the epoch of a log.
    public static func epoch() -> String {
        let hex = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return String(repeating: "0", count: 8 - hex.count) + hex
    }
}
