import Foundation

/// How many come back at once, how much each has missed, and to whom they come.
struct StormLoad {
    var sockets: Int
    var missed: Int
    /// Whether the server they come back to was started just now, on the log that another has left.
    var isAfterStart = false
    /// For how long tips are timed before, in seconds.
    var quiet: Double

    /// A server has the last 256 events at hand in memory. Who is behind by less may find them there; who is behind by
    /// more has to read the log, and a server that was just started has nothing in its memory at all.
    static func usual(isShort: Bool) -> [StormLoad] {
        let near =
            isShort
            ? StormLoad(sockets: 1_000, missed: 50, quiet: 0.5) : StormLoad(sockets: 10_000, missed: 100, quiet: 3)
        var far = near
        far.missed = 1_000
        var afterStart = far
        afterStart.isAfterStart = true
        return [near, far, afterStart]
    }

    var label: String {
        let (sockets, missed) = (Metric.grouped(Double(sockets)), Metric.grouped(Double(missed)))
        return "\(sockets) WebSockets come back\(isAfterStart ? " after a new start" : ""), \(missed) events behind"
    }
}

/// Everyone comes back with a position, as fast as connections can be made, while somebody tips another page.
struct StormRun {
    private let load: StormLoad
    private let tipwire: Tipwire
    private let launcher: Launcher

    /// The page that is tipped meanwhile, and that nobody listens to.
    private static let otherPage = "bench-other"
    /// Tips a second to it.
    private static let rate = 50.0

    init(_ load: StormLoad, tipwire: Tipwire, launcher: Launcher) {
        self.load = load
        self.tipwire = tipwire
        self.launcher = launcher
    }

    func measure() throws -> [Metric: Double] {
        let folder = try launcher.folder()
        let (process, api) = try tipwire.launch(launcher, in: folder)
        defer { process.stop() }
        for slug in [EventMessage.slug, Self.otherPage] { try api.makePage(slug) }
        let first = try api.tip(EventMessage.slug)
        try api.post(tips: load.missed, to: EventMessage.slug)
        guard load.isAfterStart else {
            return try tipping(api) { tipper in
                let quiet = try rest(tipper)
                return try comeBack(to: process, api, since: first, beside: tipper).merging(quiet) { $1 }
            }
        }
        let quiet = try tipping(api, rest)
        guard process.stop(patience: 60) else { throw BenchError("the server did not end") }
        let (next, nextAPI) = try tipwire.launch(launcher, in: folder)
        defer { next.stop() }
        return try tipping(nextAPI) { tipper in
            try comeBack(to: next, nextAPI, since: first, beside: tipper).merging(quiet) { $1 }
        }
    }

    /// Tips the other page for as long as `body` lasts.
    private func tipping<Result>(_ api: TipwireAPI, _ body: (PacedTipper) throws -> Result) throws -> Result {
        let tip = HTTPText.request(
            "POST", "/api/v1/pages/\(Self.otherPage)/tips", key: api.key, body: Array(EventMessage.tip.utf8))
        return try PacedTipper.beside(port: api.port, request: tip, rate: Self.rate, body)
    }

    private func rest(_ tipper: PacedTipper) throws -> [Metric: Double] {
        usleep(UInt32(load.quiet * 1e6))
        return [.quietP99: try tipper.take().milliseconds(at: [0.99])[0]]
    }

    private func comeBack(
        to server: ChildProcess, _ api: TipwireAPI, since first: String, beside tipper: PacedTipper
    ) throws -> [Metric: Double] {
        let reads = try api.metric(Self.reads)
        let crowd = try ReturningCrowd(load.sockets, since: first, api: api)
        let cost = try Cost(of: server) { try crowd.comeBack(missing: load.missed) }
        let p99 = try tipper.take().milliseconds(at: [0.99])[0]
        let readsSince = try api.metric(Self.reads) - reads
        // Live again: one more is everyone's.
        _ = try api.tip(EventMessage.slug)
        try crowd.wait(for: load.missed + 1)
        return [
            .stormSeconds: cost.seconds, .stormCPU: cost.serverMicroseconds / Double(load.sockets),
            .stormClientCPU: cost.clientMicroseconds / Double(load.sockets), .stormP99: p99,
            .catchUpReads: readsSince,
        ]
    }

    private static let reads = "tipwire_catch_up_reads_total"
}
