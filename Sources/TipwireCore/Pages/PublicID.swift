/// Makers of the ids that the outside sees. None can be guessed from another.
public enum PublicID {
    /// 24 characters of `[a-z0-9]`, the first a letter: the shape of a tip's id. 123 random bits.
    public static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    static func random(using generator: inout some RandomNumberGenerator) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return String(unsafeUninitializedCapacity: 24) { bytes in
            bytes[0] = alphabet[Int.random(in: 0..<26, using: &generator)]
            for index in 1..<24 { bytes[index] = alphabet[Int.random(in: 0..<36, using: &generator)] }
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
