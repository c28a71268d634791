/// Reads `Authorization: Bearer KEY`.
enum BearerToken {
    /// The key of the first value with this scheme, in any case; nil when there is none or it is empty.
    static func read(_ values: some Sequence<Substring>) -> String? { read(values.map(String.init)) }

    static func read(_ values: [String]) -> String? {
        for value in values {
            let parts = value.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { continue }
            let key = parts[1].filter { $0 != " " }
            if !key.isEmpty { return String(key) }
        }
        return nil
    }
}
