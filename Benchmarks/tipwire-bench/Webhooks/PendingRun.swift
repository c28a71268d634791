import Foundation
import Glibc

/// How many deliveries a server has to keep, and for whom.
struct PendingLoad {
    var subscriptions: Int
    var tips: Int
    /// How long the server is watched while they wait, in seconds.
    var watch: Double

    static func usual(isShort: Bool) -> PendingLoad {
        isShort
            ? PendingLoad(subscriptions: 20, tips: 500, watch: 0.5)
            : PendingLoad(subscriptions: 100, tips: 1_000, watch: 3)
    }

    var deliveries: Int { subscriptions * tips }
    var label: String { "\(Metric.grouped(Double(deliveries))) pending deliveries" }
}

/// One data folder and the three servers that run on it in turn: one that prepares it, one that begins with nothing
/// pending and ends with all of it, one that begins with all of it.
///
/// Nobody is there who could take a delivery: connections are refused at once. Each subscription tries its first a few
/// times, then its circuit breaker opens, and the others wait behind it.
final class PendingRun {
    private let load: PendingLoad
    private let tipwire: Tipwire
    private let launcher: Launcher
    private let folder: URL
    private var values: [Metric: Double] = [:]

    /// Like the page that has the webhooks, without them.
    private static let quietPage = "bench-quiet"
    /// The server must know within this long of all deliveries that wait, in seconds.
    private static let patience = 60.0

    init(_ load: PendingLoad, tipwire: Tipwire, launcher: Launcher) throws {
        self.load = load
        self.tipwire = tipwire
        self.launcher = launcher
        folder = try launcher.folder()
    }

    func measure() throws -> [Metric: Double] {
        let nobody = try Socket.refusing()
        defer { close(nobody.descriptor) }
        try prepare(callback: "http://127.0.0.1:\(nobody.port)/")
        try pile()
        try startAgain()
        return values
    }

    // MARK: The three servers

    private func prepare(callback: String) throws {
        try serve { _, api in
            for slug in [EventMessage.slug, Self.quietPage] { try api.makePage(slug) }
            try api.subscribe((0..<load.subscriptions).map { callback + "\($0)" }, to: EventMessage.slug)
            try api.post(tips: load.tips, to: Self.quietPage)
        }
    }

    /// The same tips first to the quiet page and then to the other, so that the memory grows by what waits and not by
    /// what taking tips in needs. What it grows by for the first tenth is also what trying and failing needs, once; what
    /// each delivery needs is told by the rest.
    private func pile() throws {
        values[.emptyStart] = try serve { process, api in
            try api.post(tips: load.tips, to: Self.quietPage)
            values[.restingMemory] = try settledMemory(process)
            let few = load.tips / 10
            try api.post(tips: few, to: EventMessage.slug)
            try waitForAll(of: few, api)
            let begun = try settledMemory(process)
            try api.post(tips: load.tips - few, to: EventMessage.slug)
            try waitForAll(of: load.tips, api)
            let waiting = try settledMemory(process)
            values[.begunMemory] = begun
            values[.waitingMemory] = waiting
            values[.pendingBytes] = (waiting - begun) / Double((load.tips - few) * load.subscriptions)
            let cost = try Cost(of: process) { usleep(UInt32(load.watch * 1e6)) }
            values[.waitingCPU] = cost.serverMicroseconds / 1_000 / cost.seconds
        }
    }

    private func startAgain() throws {
        values[.pendingStart] = try serve { process, api in
            try waitForAll(of: load.tips, api)
            values[.restartedMemory] = try settledMemory(process)
        }
    }

    // MARK: What they are made of

    /// Runs a server for as long as `body` does; returns the seconds from starting it to the line that says it listens.
    @discardableResult
    private func serve(_ body: (ChildProcess, TipwireAPI) throws -> Void) throws -> Double {
        let start = nanoseconds()
        let (process, api) = try tipwire.launch(launcher, in: folder, options: Tipwire.localWebhooks)
        let elapsed = seconds(nanoseconds() - start)
        try body(process, api)
        let asked = nanoseconds()
        guard process.stop(patience: Self.patience) else {
            throw BenchError("the server did not end within \(Int(Self.patience)) s")
        }
        values[.stopSeconds] = seconds(nanoseconds() - asked)
        return elapsed
    }

    private func waitForAll(of tips: Int, _ api: TipwireAPI) throws {
        let wanted = tips * load.subscriptions
        let deadline = nanoseconds() + Int64(Self.patience * 1e9)
        var pending = 0.0
        repeat {
            pending = try api.metric(TipwireAPI.pendingDeliveries)
            if pending == Double(wanted) { return }
            usleep(50_000)
        } while nanoseconds() < deadline
        throw BenchError("\(wanted) deliveries should wait, the server says \(Metric.grouped(pending))")
    }

    private func settledMemory(_ process: ChildProcess) throws -> Double {
        Double(try ProcessUsage.settledMemory(of: process.identifier) { usleep(100_000) })
    }
}
