/// Reads the log through the API and counts: what was acknowledged must be there, once, in one unbroken sequence.
///
/// All pages of a server share the sequence. They are posted to one after the other, and each is read before the next
/// has its turn, so every number must follow the one that was read last, whichever page that belonged to.
struct LogAudit {
    private var readers: [String: LogReader] = [:]
    private var tips: [String: Int] = [:]
    private var lastSequence: Int64?
    private let api: TipwireAPI

    private static let tipMark = Array(#""type":"tip.received""#.utf8)

    init(_ api: TipwireAPI) { self.api = api }

    /// New tips of a page that the log was found to hold.
    func tips(of slug: String) -> Int { tips[slug] ?? 0 }

    /// Reads a page's events on from where it stopped to the head; throws if a sequence number is missing or comes again.
    mutating func readOn(_ slug: String) throws {
        var reader = readers[slug] ?? LogReader(api, slug: slug)
        try reader.readOn { answer in
            for sequence in try LogReader.sequences(in: answer) { try follow(sequence) }
            tips[slug, default: 0] += LogReader.values(after: Self.tipMark, in: answer).count
        }
        readers[slug] = reader
    }

    private mutating func follow(_ sequence: Int64) throws {
        if let lastSequence, sequence != lastSequence + 1 {
            throw BenchError("the log goes from \(lastSequence) to \(sequence)")
        }
        lastSequence = sequence
    }
}
