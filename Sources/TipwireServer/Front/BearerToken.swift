/// Reads `Authorization: Bearer KEY`.
enum BearerToken {
    /// The key of the first value with this scheme, in any case; nil when there is none or it is empty.
    static func read(_ values: some Sequence<Substring>) -> String? {
        for value in values {
            if let key = key(in: value.utf8) { return key }
        }
        return nil
    }

    static func read(_ values: [String]) -> String? { read(values.lazy.map { $0[...] }) }

    /// By bytes: each request passes here.
    private static func key(in value: Substring.UTF8View) -> String? {
        let text = value.drop(while: isBlank)
        let scheme = text.prefix { !isBlank($0) }
        let key = text[scheme.endIndex...].filter { !isBlank($0) }
        guard !key.isEmpty, scheme.elementsEqual("bearer".utf8, by: { $0 | 0x20 == $1 }) else { return nil }
        return String(decoding: key, as: UTF8.self)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
