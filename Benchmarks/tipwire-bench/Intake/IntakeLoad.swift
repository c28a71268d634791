import Glibc

/// One way of posting tips: so many connections, so many tips in each request.
struct IntakeSetting {
    var connections: Int
    /// Tips of one request; 1 is the call for single tips, more is the batch.
    var tips: Int

    /// The largest batches last: they leave the most in the log, and the others should not meet it grown.
    static let all = [
        IntakeSetting(connections: 1, tips: 1), IntakeSetting(connections: 16, tips: 1),
        IntakeSetting(connections: 64, tips: 1), IntakeSetting(connections: 1, tips: 100),
        IntakeSetting(connections: 4, tips: 100), IntakeSetting(connections: 1, tips: 1_000),
        IntakeSetting(connections: 4, tips: 1_000),
    ]

    /// The two that are also measured with tips that complete goals: one by one, and many in a commit.
    static let chained = [1, 3]
    /// Those that are also measured beside idle listeners: single tips and batches at their fastest.
    static let besideOthers = [2, 4, 6]
    /// Those that are held at a rate.
    static let sustained = [2, 4]

    var label: String {
        let how = tips == 1 ? "single tips" : "batches of \(Metric.grouped(Double(tips)))"
        return "\(how), \(connections) connection\(connections == 1 ? "" : "s")"
    }

    /// The request, the same each time: without ids each tip is a new one.
    func request(page slug: String, key: String) -> [UInt8] {
        let path = "/api/v1/pages/\(slug)/tips"
        guard tips > 1 else { return HTTPText.request("POST", path, key: key, body: Array(EventMessage.tip.utf8)) }
        let list = Array(repeating: EventMessage.tip, count: tips).joined(separator: ",")
        return HTTPText.request("POST", path + ":batch", key: key, body: Array(#"{"tips":[\#(list)]}"#.utf8))
    }
}

/// Posts on some connections, each at once again when it was answered.
final class IntakeLoad {
    /// When it ends.
    enum Extent {
        case seconds(Double)
        /// When so many tips were posted, a multiple of those of one request.
        case tips(Int)
    }

    /// Tips that were answered 201.
    private(set) var acknowledged = 0
    /// Requests that were answered 503: the server said that it was full, and stored nothing.
    private(set) var refused = 0
    private(set) var latencies = Latencies()

    /// Posting that lasts this much longer than it should has failed, in nanoseconds.
    private static let patience: Int64 = 20_000_000_000

    private let setting: IntakeSetting
    private let request: [UInt8]
    private let poller: Poller
    private var connections: [HTTPConnection] = []
    private var busy = 0

    init(_ setting: IntakeSetting, page slug: String, _ api: TipwireAPI) throws {
        self.setting = setting
        request = setting.request(page: slug, key: api.key)
        poller = try Poller()
        for index in 0..<setting.connections {
            let connection = try HTTPConnection(port: api.port)
            try poller.add(connection.descriptor, token: UInt64(index))
            connections.append(connection)
        }
    }

    /// Runs to the end and until every request was answered: afterwards nothing is in doubt.
    func run(_ extent: Extent) throws {
        var end = Int64.max
        var unposted = Int.max
        switch extent {
        case .seconds(let seconds): end = nanoseconds() + Int64(seconds * 1e9)
        case .tips(let tips): unposted = tips / setting.tips
        }
        let deadline = (end == .max ? nanoseconds() : end) + Self.patience
        for index in connections.indices where unposted > 0 {
            try start(index)
            unposted -= 1
        }
        while busy > 0 {
            for event in 0..<(try poller.wait(milliseconds: 100)) {
                let index = Int(poller.token(at: event))
                let connection = connections[index]
                guard let status = try connection.proceed(watchedBy: poller, token: UInt64(index)) else { continue }
                try take(status, from: connection)
                if unposted > 0, nanoseconds() < end {
                    try start(index)
                    unposted -= 1
                }
            }
            guard nanoseconds() < deadline else { throw BenchError("\(busy) requests were not answered in time") }
        }
    }

    private func start(_ index: Int) throws {
        try connections[index].start(request, watchedBy: poller, token: UInt64(index))
        busy += 1
    }

    private func take(_ status: Int, from connection: HTTPConnection) throws {
        busy -= 1
        switch status {
        case 201:
            acknowledged += setting.tips
            latencies.record(nanoseconds: nanoseconds() - connection.startedAt)
        case 503: refused += 1
        default: throw BenchError("a tip was answered \(status)")
        }
    }
}
