import Glibc

/// The connections that events are posted on: each has one request under way at most.
final class Publishers {
    /// Posts answered so far, all with success.
    private(set) var answered = 0
    /// Posts handed over so far.
    private(set) var posted = 0
    private let endpoint: Endpoint
    private let poller: Poller
    private var connections: [HTTPConnection] = []
    /// Those that can post, the one that has rested longest first.
    private var idle: [Int] = []

    /// Marks the poller's tokens that belong to these connections.
    static let tokens: UInt64 = 1 << 32

    init(_ count: Int, endpoint: Endpoint, poller: Poller) throws {
        self.endpoint = endpoint
        self.poller = poller
        for index in 0..<count {
            let connection = try HTTPConnection(port: endpoint.publishPort)
            try poller.add(connection.descriptor, token: Self.tokens | UInt64(index))
            connections.append(connection)
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
        let connection = connections[index]
        try connection.start(endpoint.request(sequence))
        posted += 1
        // A post is half a kilobyte and goes out whole unless the server has stopped reading.
        guard !connection.wantsToWrite else { throw BenchError("the server doesn't read its posts") }
    }

    func handle(_ index: Int) throws {
        guard let status = try connections[index].receive() else { return }
        guard (200..<300).contains(status) else { throw BenchError("a post was answered \(status)") }
        answered += 1
        idle.append(index)
    }
}
