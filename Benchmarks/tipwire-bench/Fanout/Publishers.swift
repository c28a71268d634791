import Glibc

/// The connections that events are posted on: each has one request under way at most.
final class Publishers {
    /// Posts answered so far, all with success.
    private(set) var answered = 0
    /// Posts handed over so far.
    private(set) var posted = 0
    /// Whether it is noted what each post was answered, and when.
    var keepsAnswers = false
    private(set) var answers: [Answer] = []
    private let endpoint: Endpoint
    private let poller: Poller
    private var connections: [HTTPConnection] = []
    /// What each of them posts.
    private var numbers: [Int64] = []
    /// Those that can post, the one that has rested longest first.
    private var idle: [Int] = []

    /// Marks the poller's tokens that belong to these connections.
    static let tokens: UInt64 = 1 << 32

    /// An answer of a server that numbers events itself.
    struct Answer {
        /// What was posted.
        var number: Int64
        /// The event's number, the last one's of a batch.
        var sequence: Int64
        var at: Int64
    }

    init(_ count: Int, endpoint: Endpoint, poller: Poller) throws {
        self.endpoint = endpoint
        self.poller = poller
        for index in 0..<count {
            let connection = try HTTPConnection(port: endpoint.publishPort)
            try poller.add(connection.descriptor, token: token(index))
            connections.append(connection)
            numbers.append(0)
            idle.append(index)
        }
    }

    var canPost: Bool { !idle.isEmpty }

    /// Posts the event that is expected to get this sequence number.
    func post(_ sequence: Int64) throws {
        guard !idle.isEmpty else { throw BenchError("all publishers wait for answers") }
        // They take turns, even where one would do: servers close connections that have rested for long, and Tipwire
        // one on which nothing has come for ten seconds since it was opened.
        let index = idle.removeFirst()
        numbers[index] = sequence
        try connections[index].start(
            endpoint.request(sequence), keepingBody: keepsAnswers, watchedBy: poller, token: token(index))
        posted += 1
    }

    func handle(_ index: Int) throws {
        guard let status = try connections[index].proceed(watchedBy: poller, token: token(index)) else { return }
        let now = nanoseconds()
        guard (200..<300).contains(status) else { throw BenchError("a post was answered \(status)") }
        answered += 1
        idle.append(index)
        guard keepsAnswers else { return }
        guard let sequence = EventMessage.lastCursor(in: connections[index].body) else {
            throw BenchError("no cursor came with a tip")
        }
        answers.append(Answer(number: numbers[index], sequence: sequence, at: now))
    }

    private func token(_ index: Int) -> UInt64 { Self.tokens | UInt64(index) }
}
