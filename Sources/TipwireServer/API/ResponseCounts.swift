import NIOHTTP1
import Synchronization
import TipwireHub

/// Answers by status, those of streams left out, and how long the router's took.
///
/// The statuses are those that the program gives; whatever else might come is counted under one word, so that no caller
/// can make a label.
final class ResponseCounts: Sendable {
    static let statuses = [
        200, 201, 202, 204, 303, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 422, 429, 431, 500, 501, 503,
        505,
        507,
    ]

    let seconds = DurationHistogram()
    private let counts = Mutex([Int](repeating: 0, count: statuses.count + 1))

    func count(_ status: Int, took duration: Duration) {
        let index = Self.statuses.firstIndex(of: status) ?? Self.statuses.count
        counts.withLock { $0[index] += 1 }
        seconds.observe(duration)
    }

    /// An answer that a request had before it met the router, in next to no time.
    func count(_ answer: FrontAnswer) {
        let index = Self.statuses.firstIndex(of: Int(answer.status.code)) ?? Self.statuses.count
        counts.withLock { $0[index] += 1 }
    }

    var reading: [(status: String, count: Int)] {
        Array(zip(Self.statuses.map(String.init) + ["other"], counts.withLock { $0 }))
    }
}
