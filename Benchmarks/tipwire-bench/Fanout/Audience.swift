import Glibc

/// The subscribers of a running server and whoever posts to it: one thread, one poller, and the patience that all
/// runs have with a server.
final class Audience {
    let subscribers: Subscribers
    let publishers: Publishers
    private let size: Int
    private let server: RunningServer
    private let poller: Poller

    /// Processor time that went by with asking whether a post was due, in microseconds: waiting, and nothing's cost.
    private(set) var spunMicroseconds = 0.0

    /// A server that makes no progress for this long has failed, in nanoseconds.
    private static let patience: Int64 = 10_000_000_000
    /// New connections a second, at most: a reconnect storm that the server is meant to bear, not one that it refuses.
    private static let handshakeRate = 4_000.0

    /// - Parameter pages: how many pages they are spread over, evenly.
    init(_ size: Int, of form: StreamForm, pages: Int = 1, publishers count: Int, server: RunningServer) throws {
        self.size = size
        self.server = server
        poller = try Poller()
        let endpoint = server.endpoint
        subscribers = Subscribers(size, of: form, pages: pages, port: endpoint.subscribePort, poller: poller)
        publishers = try Publishers(count, endpoint: endpoint, poller: poller)
    }

    var allAnswered: Bool { publishers.answered == publishers.posted }

    /// Opens all of them, at most `handshakeRate` a second; returns when each was granted what it asked for.
    @discardableResult
    func connect(to paths: [String]) throws -> Cost {
        subscribers.paths = paths
        return try stretch {
            let start = nanoseconds()
            try waitUntil {
                let allowed = min(size, 1 + Int(seconds(nanoseconds() - start) * Self.handshakeRate))
                while subscribers.started < allowed, subscribers.started - subscribers.opened < 256 {
                    try subscribers.open()
                }
                return subscribers.opened == size
            }
        }
    }

    /// Does what there is to do, or waits for it; says whether there was anything.
    @discardableResult
    func turn(milliseconds: Int32) throws -> Bool {
        let count = try poller.wait(milliseconds: milliseconds)
        for index in 0..<count {
            let token = poller.token(at: index)
            if token & Publishers.tokens != 0 {
                try publishers.handle(Int(token & 0xFFFF_FFFF))
            } else {
                try subscribers.handle(Int(token), poller.interest(at: index))
            }
        }
        return count > 0
    }

    /// Throws at the first event that came twice or out of order, and when nothing happens any more.
    func waitUntil(_ isDone: () throws -> Bool) throws {
        var seen = -1
        var since = nanoseconds()
        while try !isDone() {
            try turn(milliseconds: 1)
            if let fault = subscribers.firstFault { throw BenchError(fault) }
            let progress = subscribers.deliveries + subscribers.opened + publishers.answered
            if progress != seen {
                seen = progress
                since = nanoseconds()
            } else if nanoseconds() - since > Self.patience {
                throw BenchError(
                    "nothing happened for \(Self.patience / 1_000_000_000) s: \(subscribers.opened) of \(size) "
                        + "sockets open, \(subscribers.deliveries) deliveries, "
                        + "\(publishers.posted - publishers.answered) posts not answered")
            }
        }
    }

    /// Calls `post` for each of these times when it has come, or as soon after it as anyone can post.
    func pace(_ due: [Int64], post: (Int) throws -> Void) throws {
        for (index, time) in due.enumerated() {
            while true {
                let left = time - nanoseconds()
                if left <= 0 { break }
                // The last millisecond is spent asking again: epoll's clock has no finer steps.
                if left < 1_000_000 { try spin() } else { try turn(milliseconds: Int32(left / 1_000_000)) }
            }
            try waitUntil { publishers.canPost }
            try post(index)
        }
    }

    private func spin() throws {
        let before = ProcessUsage.ownCPU()
        if try !turn(milliseconds: 0) { spunMicroseconds += Double(ProcessUsage.ownCPU() - before) / 1_000 }
    }

    func settledMemory() throws -> Int64 {
        try ProcessUsage.settledMemory(of: server.process.identifier) { try serve(seconds: 0.1) }
    }

    /// Serves the sockets for a while, whatever comes.
    func serve(seconds: Double) throws {
        let end = nanoseconds() + Int64(seconds * 1e9)
        while nanoseconds() < end { try turn(milliseconds: 20) }
    }

    func stretch(_ body: () throws -> Void) throws -> Cost { try Cost(of: server.process, body) }
}
