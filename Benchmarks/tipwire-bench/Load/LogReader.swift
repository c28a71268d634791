/// Reads a page's log through the API, from its beginning on, an answer at a time.
///
/// The bytes are searched and not parsed: a series leaves some hundred thousand events behind, and the bench's minutes
/// are better spent measuring.
struct LogReader {
    private let api: TipwireAPI
    private let slug: String
    private var position: String?

    private static let nextMark = Array(#""next":""#.utf8)
    private static let cursorMark = Array(#""cursor":""#.utf8)

    init(_ api: TipwireAPI, slug: String) {
        self.api = api
        self.slug = slug
    }

    /// Reads on from where it stopped to the head.
    mutating func readOn(_ take: ([UInt8]) throws -> Void) throws {
        while true {
            let since = position.map { "&since=\($0)" } ?? ""
            let answer = try api.get("/pages/\(slug)/events?limit=1000\(since)")
            guard let next = Self.values(after: Self.nextMark, in: answer).last else {
                throw BenchError("the log's answer names no next position")
            }
            position = next
            if answer.starts(with: Array(#"{"data":[]"#.utf8)) { return }
            try take(answer)
        }
    }

    /// The numbers of an answer's events.
    static func sequences(in answer: [UInt8]) throws -> [Int64] {
        try values(after: cursorMark, in: answer).map { cursor in
            guard let sequence = EventMessage.sequence(ofCursor: cursor) else {
                throw BenchError("a cursor without a number: \(cursor)")
            }
            return sequence
        }
    }

    /// The strings that follow a mark, up to the next quotation mark.
    static func values(after mark: [UInt8], in bytes: [UInt8]) -> [String] {
        var found: [String] = []
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index + mark.count < bytes.count {
                guard bytes[index] == mark[0], bytes[index..<(index + mark.count)].elementsEqual(mark) else {
                    index += 1
                    continue
                }
                let start = index + mark.count
                index = start
                while index < bytes.count, bytes[index] != UInt8(ascii: "\"") { index += 1 }
                found.append(String(decoding: bytes[start..<index], as: UTF8.self))
            }
        }
        return found
    }
}
