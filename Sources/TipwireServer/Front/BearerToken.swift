/// Reads `Authorization: Bearer KEY`.
enum BearerToken {
    /// The key of the first value with this scheme, in any case; nil when there is none or it is empty.
    static func read(_ values: some Sequence<Substring>) -> String? { read(values.map(String.init)) }

    static func read(_ values: [String]) -> String? {
        for value in values {
            let parts = value.split(maxSplits: 1, whereSeparator: isBlank)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { continue }
            let key = parts[1].filter { !isBlank($0) }
            if !key.isEmpty { return String(key) }
        }
        return nil
    }

    private static func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
}
