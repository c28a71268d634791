import Glibc

/// How many tips come at once, and to how many.
struct HeapLoad {
    var sockets: Int
    /// Tips of one request, which is one commit.
    var tips: Int
    /// How many such heaps come one after the other.
    var heaps: Int

    /// Eight heaps are less than the 4 MiB that a listener may be behind: one that stalls is left behind and not cut.
    static func usual(isShort: Bool) -> HeapLoad {
        isShort ? HeapLoad(sockets: 100, tips: 1_000, heaps: 2) : HeapLoad(sockets: 1_000, tips: 1_000, heaps: 8)
    }

    var label: String {
        "\(Metric.grouped(Double(tips))) tips at once to \(Metric.grouped(Double(sockets))) WebSockets"
    }
}

/// Heaps of tips to listeners who all read, and the same beside one who doesn't.
final class HeapRun {
    private let load: HeapLoad
    private let server: RunningServer
    private let api: TipwireAPI
    private let audience: Audience
    private var posted = 0

    /// What a listener that doesn't read leaves waiting in its own kernel, in bytes: a small part of a heap.
    private static let stalledBuffer: Int32 = 4_096

    init(_ load: HeapLoad, server process: ChildProcess, api: TipwireAPI) throws {
        self.load = load
        self.api = api
        let heap = IntakeSetting(connections: 1, tips: load.tips).request(page: EventMessage.slug, key: api.key)
        server = api.running(process) { _ in heap }
        audience = try Audience(load.sockets, of: .webSocket, publishers: 1, server: server)
    }

    /// The figures without and with the listener that stalls.
    ///
    /// - Parameter stallsFirst: the later finds a longer log and a larger server, so they take turns at that.
    func measure(stallsFirst: Bool) throws -> (heap: [Metric: Double], besideStalled: [Metric: Double]) {
        try audience.connect(to: server.endpoint.subscribePaths(load.sockets))
        try heap()
        let early = stallsFirst ? try besideStalled() : nil
        let all = try heaps()
        let figures = (all, try early ?? besideStalled())
        try audience.subscribers.log.audit(order: api.sequences(of: EventMessage.slug))
        return figures
    }

    private func heaps() throws -> [Metric: Double] {
        let process = server.process.identifier
        let rest = try audience.settledMemory()
        let reads = audience.subscribers.reads
        try ProcessUsage.forgetPeak(of: process)
        let cost = try audience.stretch { for _ in 0..<load.heaps { try heap() } }
        let deliveries = Double(load.heaps * load.tips * load.sockets)
        let calls = Double(audience.subscribers.reads - reads)
        return [
            .crowdCPU: cost.serverMicroseconds / deliveries, .crowdRate: deliveries / cost.seconds,
            .clientCPU: cost.clientMicroseconds / deliveries,
            .heapSeconds: cost.seconds * 1_000 / Double(load.heaps),
            .heapReads: calls / Double(load.heaps * load.sockets), .messagesPerRead: deliveries / calls,
            .heapRest: Double(rest), .heapPeak: Double(try ProcessUsage.peakMemory(of: process)),
        ]
    }

    /// One more listens, and reads nothing until all others have everything; then it must get the same.
    private func besideStalled() throws -> [Metric: Double] {
        let stalled = try Audience(1, of: .webSocket, publishers: 0, server: server)
        stalled.subscribers.receiveBuffer = Self.stalledBuffer
        try stalled.connect(to: server.endpoint.subscribePaths(1))
        let figures = try heaps()
        let missed = load.heaps * load.tips
        guard stalled.subscribers.deliveries == 0 else { throw BenchError("the listener that should stall has read") }
        try stalled.waitUntil { stalled.subscribers.log.completed == missed }
        try stalled.subscribers.log.audit(order: audience.subscribers.log.order.suffix(missed))
        return figures
    }

    /// One heap; over when all have it.
    private func heap() throws {
        posted += 1
        try audience.publishers.post(Int64(posted))
        try audience.waitUntil { audience.subscribers.log.completed == posted * load.tips && audience.allAnswered }
    }
}
