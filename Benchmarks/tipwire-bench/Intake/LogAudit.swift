/// Reads the log through the API and counts: what was acknowledged must be there, once, in one unbroken sequence.
///
/// The bytes are searched and not parsed: a series leaves some hundred thousand events behind, and the bench's minutes
/// are better spent measuring.
struct LogAudit {
    /// Events found so far.
    private(set) var events = 0
    private var position: String?
    private var lastSequence: Int64 = 0
    private let connection: HTTPConnection
    private let key: String

    private static let cursorMark = Array(#""cursor":""#.utf8)
    private static let nextMark = Array(#""next":""#.utf8)

    init(port: UInt16, key: String) throws {
        connection = try HTTPConnection(port: port)
        self.key = key
    }

    /// Reads on from where it stopped to the head; throws if a sequence number is missing or comes again.
    mutating func readOn() throws {
        while true {
            let since = position.map { "&since=\($0)" } ?? ""
            let path = "/api/v1/pages/\(EventMessage.slug)/events?limit=1000\(since)"
            let answer = try connection.call(HTTPText.request("GET", path, key: key))
            guard answer.status == 200 else { throw BenchError("reading the log was answered \(answer.status)") }
            let before = events
            for cursor in Self.values(after: Self.cursorMark, in: answer.body) { try count(cursor) }
            guard let next = Self.values(after: Self.nextMark, in: answer.body).last else {
                throw BenchError("the log's answer names no next position")
            }
            position = next
            if events == before { return }
        }
    }

    private mutating func count(_ cursor: String) throws {
        guard let sequence = cursor.split(separator: "-").last.flatMap({ Int64($0) }) else {
            throw BenchError("a cursor without a number: \(cursor)")
        }
        if events > 0, sequence != lastSequence + 1 {
            throw BenchError("the log goes from \(lastSequence) to \(sequence)")
        }
        lastSequence = sequence
        events += 1
    }

    /// The strings that follow a mark.
    private static func values(after mark: [UInt8], in bytes: [UInt8]) -> [String] {
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
