import Glibc

/// How many come back at once, and how much each has missed.
struct StormLoad {
    var sockets: Int
    var missed: Int
    /// For how long tips are timed before, in seconds.
    var quiet: Double

    static func usual(isShort: Bool) -> StormLoad {
        isShort ? StormLoad(sockets: 1_000, missed: 50, quiet: 1) : StormLoad(sockets: 10_000, missed: 100, quiet: 3)
    }

    var label: String {
        "\(Metric.grouped(Double(sockets))) WebSockets come back, \(missed) events behind"
    }
}

/// Everyone comes back with a position, as fast as connections can be made, while somebody tips another page.
final class StormRun {
    private let load: StormLoad
    private let server: ChildProcess
    private let api: TipwireAPI
    private let poller: Poller
    private let subscribers: Subscribers

    /// The page that is tipped meanwhile, and that nobody listens to.
    private static let otherPage = "bench-other"
    /// Tips a second to it.
    private static let rate = 50.0
    private static let patience = 60.0

    init(_ load: StormLoad, server: ChildProcess, api: TipwireAPI) throws {
        self.load = load
        self.server = server
        self.api = api
        poller = try Poller()
        subscribers = Subscribers(load.sockets, of: .webSocket, port: api.port, poller: poller)
        subscribers.isGreeted = true
    }

    func measure() throws -> [Metric: Double] {
        try api.makePage(Self.otherPage)
        let first = try post()
        for _ in 0..<load.missed { _ = try post() }
        let tip = HTTPText.request(
            "POST", "/api/v1/pages/\(Self.otherPage)/tips", key: api.key, body: Array(EventMessage.tip.utf8))
        return try PacedTipper.beside(port: api.port, request: tip, rate: Self.rate) { tipper in
            try measure(since: first, beside: tipper)
        }
    }

    private func measure(since first: String, beside tipper: PacedTipper) throws -> [Metric: Double] {
        var values: [Metric: Double] = [:]
        let end = nanoseconds() + Int64(load.quiet * 1e9)
        try turn { nanoseconds() >= end }
        values[.quietP99] = try tipper.take().milliseconds(at: [0.99])[0]
        let reads = try api.metric("tipwire_catch_up_reads_total")
        subscribers.paths = Array(
            repeating: api.feed(of: EventMessage.slug) + "&since=\(first)", count: load.sockets)
        let start = nanoseconds()
        let cost = try Cost(of: server) {
            try turn {
                // No more at a time than wait to be accepted; a client that is refused would have to try again.
                while subscribers.started < load.sockets, subscribers.started - subscribers.opened < 4_000 {
                    try subscribers.open()
                }
                return subscribers.log.completed == load.missed
            }
        }
        values[.stormSeconds] = seconds(nanoseconds() - start)
        values[.stormCPU] = cost.serverMicroseconds / Double(load.sockets)
        values[.stormP99] = try tipper.take().milliseconds(at: [0.99])[0]
        values[.catchUpReads] = try api.metric("tipwire_catch_up_reads_total") - reads
        // Live again: one more is everyone's.
        _ = try post()
        try turn { subscribers.log.completed == load.missed + 1 }
        return values
    }

    /// Tips the page that everyone listens to; returns the cursor.
    private func post() throws -> String {
        let answer = try api.call("POST", "/pages/\(EventMessage.slug)/tips", EventMessage.tip, expecting: 201)
        guard let cursor = EventMessage.lastCursorText(in: answer) else { throw BenchError("no cursor in an answer") }
        return cursor
    }

    private func turn(until isDone: () throws -> Bool) throws {
        let deadline = nanoseconds() + Int64(Self.patience * 1e9)
        while try !isDone() {
            guard nanoseconds() < deadline else {
                throw BenchError(
                    "after \(Int(Self.patience)) s \(subscribers.opened) are open and have \(subscribers.log.completed) "
                        + "events")
            }
            for index in 0..<(try poller.wait(milliseconds: 1)) {
                try subscribers.handle(Int(poller.token(at: index)), poller.interest(at: index))
            }
            if let fault = subscribers.firstFault { throw BenchError(fault) }
        }
    }
}
