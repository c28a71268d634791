/// Makers of the ids that the outside sees. None can be guessed from another.
public enum PublicID {
    /// 24 characters of `[a-z0-9]`, the first a letter: the shape of a tip's id. 123 random bits.
    public static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    static func random(using generator: inout some RandomNumberGenerator) -> String {
        let alphabet: StaticString = "abcdefghijklmnopqrstuvwxyz0123456789"
        return String(unsafeUninitializedCapacity: 24) { bytes in
            // Eight characters of one draw: a draw is a system call, and 36 to the 8th is so far below 2 to the 64th that
            // no character is noticeably likelier than another.
            var rest: UInt64 = 0
            for index in 0..<24 {
                if index % 8 == 0 { rest = generator.next() }
                let choices: UInt64 = index == 0 ? 26 : 36
                bytes[index] = alphabet.utf8Start[Int(rest % choices)]
                rest /= choices
            }
            return 24
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
