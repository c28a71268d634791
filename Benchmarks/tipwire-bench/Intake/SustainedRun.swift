import Glibc

/// A rate of tips that is held for a while, and how many listen to the page.
struct SustainedLoad {
    var way: IntakeSetting
    var sockets = 100
    /// Tips a second.
    var rate = 1_000.0
    var seconds: Double

    static func usual(isShort: Bool) -> [SustainedLoad] {
        IntakeSetting.sustained.map { SustainedLoad(way: IntakeSetting.all[$0], seconds: isShort ? 1 : 10) }
    }

    var label: String {
        "\(Metric.grouped(rate)) tips/s to \(sockets) WebSockets, \(way.label)"
    }
}

/// Tips at a fixed rate to a page with goals and listeners: how far behind the commit is the last of them?
///
/// When a tip was committed can't be seen from outside. It was before its answer came and after it was posted, so two
/// times are told: from the answer to the last socket, and from when the post was due, which is more than the lag.
final class SustainedRun {
    private let load: SustainedLoad
    private let api: TipwireAPI
    private let server: RunningServer
    private let audience: Audience
    private var page = IntakePage.lasting[IntakePage.withGoals]
    /// Of its goals, before anyone listens.
    private let earlierEvents: Int
    private var posted = 0
    private var due: [Int64] = []

    /// For so long tips come before it is measured, in seconds.
    private static let warmUp = 1.0

    init(_ load: SustainedLoad, server process: ChildProcess, api: TipwireAPI) throws {
        self.load = load
        self.api = api
        let request = load.way.request(page: page.slug, key: api.key)
        server = api.running(process) { _ in request }
        try page.prepare(api)
        earlierEvents = try api.sequences(of: page.slug).count
        audience = try Audience(
            load.sockets, of: .webSocket, publishers: load.way.connections, server: server)
    }

    func measure() throws -> [Metric: Double] {
        let paths = Array(repeating: api.feed(of: page.slug), count: load.sockets)
        try audience.connect(to: paths)
        try post(for: Self.warmUp)
        audience.subscribers.isTiming = true
        audience.publishers.keepsAnswers = true
        let measured = posted
        let cost = try audience.stretch { try post(for: load.seconds) }
        try audit()
        let tips = Double(page.acknowledged - measured * load.way.tips)
        var values: [Metric: Double] = [
            .sustainedRate: tips / cost.seconds, .tipCPU: cost.serverMicroseconds / tips,
            .busyCPU: cost.serverMicroseconds / 1_000 / cost.seconds,
        ]
        var (lag, reach) = (Latencies(), Latencies())
        for answer in audience.publishers.answers {
            guard let reached = audience.subscribers.log.completedAt[answer.sequence] else {
                throw BenchError("nobody knows when tip \(answer.sequence) came to the last socket")
            }
            lag.record(nanoseconds: reached - answer.at)
            reach.record(nanoseconds: reached - due[Int(answer.number)])
        }
        let shares = [0.5, 0.99, 1]
        for (metric, value) in zip([Metric.lagP50, .lagP99, .lagMost], lag.milliseconds(at: shares)) {
            values[metric] = value
        }
        for (metric, value) in zip([Metric.reachP50, .reachP99, .reachMost], reach.milliseconds(at: shares)) {
            values[metric] = value
        }
        return values
    }

    /// Posts at the rate; over when all was answered and everyone has everything.
    private func post(for seconds: Double) throws {
        let requests = Int(load.rate * seconds) / load.way.tips
        let interval = Double(load.way.tips) / load.rate * 1e9
        let start = nanoseconds()
        due = (0..<requests).map { start + Int64(Double($0 + 1) * interval) }
        try audience.pace(due) { index in try audience.publishers.post(Int64(index)) }
        posted += requests
        try audience.waitUntil {
            audience.allAnswered && audience.subscribers.log.completed == posted * load.way.tips
        }
        page.acknowledged = posted * load.way.tips
    }

    /// The listeners must have what the log has, which must be what was acknowledged, and the goals its money.
    private func audit() throws {
        var audit = LogAudit(api)
        try audit.readOn(page.slug)
        if let fault = try page.fault(audit, api) { throw BenchError(fault) }
        try audience.subscribers.log.audit(order: Array(api.sequences(of: page.slug).dropFirst(earlierEvents)))
    }
}
