import Glibc

/// How much is asked of a server at one number of sockets of one form.
struct FanoutLoad {
    var form: StreamForm
    var sockets: Int
    /// Events of the scenario in which each waits until all have the one before.
    var lockstepEvents: Int
    /// Events of the scenario in which up to `inFlight` are under way.
    var burstEvents: Int
    /// Events of the scenario with a fixed rate.
    var pacedEvents: Int
    /// The fixed rate, in events a second.
    var pacedRate = 10.0
    /// Events that may be published and not yet everywhere. Several posts are then answered by one commit and several
    /// frames can share a write: what a server does when tips come in a heap.
    var inFlight = 16

    /// In how many slices the first scenario comes.
    static let lockstepSlices = 12
    /// Events of each slice of the second: three times what may be under way.
    static let burstSlice = 48
    var burstSlices: Int { burstEvents / Self.burstSlice }

    /// - Parameter share: how much of the usual amount.
    static func usual(_ form: StreamForm, sockets: Int, share: Double) -> FanoutLoad {
        func events(_ deliveries: Int, _ range: ClosedRange<Int>, times unit: Int) -> Int {
            let wanted = Double(deliveries / sockets) * share
            return min(max(Int(wanted) / unit, range.lowerBound), range.upperBound) * unit
        }
        return FanoutLoad(
            form: form, sockets: sockets,
            lockstepEvents: events(240_000, 1...25, times: lockstepSlices),
            burstEvents: events(480_000, 1...20, times: burstSlice),
            // Of a hundred events one may be later than the p99 says; of fewer that is the latest. A hundred take ten
            // seconds, so they come only where the figure has a bar.
            pacedEvents: share < 1 ? 8 : sockets == 1_000 ? 100 : 25)
    }

    var label: String {
        sockets == 1 ? "1 \(form.label.dropLast())" : "\(Metric.grouped(Double(sockets))) \(form.label)"
    }
}

/// One server with one number of sockets: connect, rest, and the three scenarios, on one thread. The first two come in slices,
/// between which other servers have their turns.
final class FanoutRun {
    private let load: FanoutLoad
    private let server: RunningServer
    private let audience: Audience
    private let subscribers: Subscribers
    private let publishers: Publishers
    /// The sequence number before the first that the subscribers get.
    private var base: Int64 = 0
    private var lastPosted: Int64 = 0
    private var values: [Metric: Double] = [:]
    private var lockstepCost = Cost.zero
    private var burstCost = Cost.zero
    private var burstReads = 0

    private static let warmUpPosts = 40
    private static let postsAlone = 100
    private static let warmUpEvents = 3

    init(_ load: FanoutLoad, server: RunningServer) throws {
        self.load = load
        self.server = server
        audience = try Audience(load.sockets, of: load.form, publishers: load.inFlight, server: server)
        subscribers = audience.subscribers
        publishers = audience.publishers
    }

    // All of these throw at the first event that was lost, repeated or swapped.

    /// What comes before the scenarios.
    func prepare() throws {
        try publishAlone()
        try connect()
        try lockstep(Self.warmUpEvents)
    }

    /// A part of the events that go one at a time. What a processor's caches have forgotten since the last slice costs an event
    /// that isn't measured.
    func lockstepSlice() throws {
        try lockstep(1)
        lockstepCost += try stretch { try lockstep(load.lockstepEvents / FanoutLoad.lockstepSlices) }
    }

    func burstSlice() throws {
        try lockstep(1)
        let reads = subscribers.reads
        burstCost += try stretch { try burst(FanoutLoad.burstSlice) }
        burstReads += subscribers.reads - reads
    }

    /// The last scenario, which is mostly waiting, and then all figures.
    func finish() throws -> [Metric: Double] {
        let lockstep = tell(
            lockstepCost, load.lockstepEvents, cpu: .lockstepCPU, rate: .lockstepRate, client: .lockstepClientCPU)
        values[.lockstepKernel] = lockstepCost.serverSystemMicroseconds / lockstep
        // With one socket it would be the small difference of two tips' costs, and say nothing.
        if load.sockets > 1, let alone = values[.publishCPU] {
            values[.heardCPU] = (lockstepCost.serverMicroseconds - alone * Double(load.lockstepEvents)) / lockstep
        }
        let burst = tell(burstCost, load.burstEvents, cpu: .burstCPU, rate: .burstRate, client: .burstClientCPU)
        values[.burstPerRead] = burst / Double(max(burstReads, 1))
        try paced()
        values[.usedBytes] = try Double(audience.settledMemory() - restingMemory) / Double(load.sockets)
        try subscribers.log.audit(after: base, count: Int(lastPosted - base), order: try promisedOrder())
        values[.messageBytes] = Double(subscribers.log.bytes) / Double(max(subscribers.deliveries, 1))
        return values
    }

    // MARK: The parts, in their order

    private var restingMemory: Int64 = 0

    /// Posts with nobody listening: the part of a fan-out's cost that is intake. A server's first posts cost it half as
    /// much again and aren't counted, since this is taken from the cost of later ones.
    private func publishAlone() throws {
        func post(_ count: Int) throws {
            for _ in 0..<count {
                try publishers.post(Int64(publishers.posted + 1))
                try audience.waitUntil { audience.allAnswered }
            }
        }
        try post(Self.warmUpPosts)
        let cost = try stretch { try post(Self.postsAlone) }
        values[.publishCPU] = cost.serverMicroseconds / Double(Self.postsAlone)
        // One more whose answer is read: which number the log has come to.
        let number = Int64(publishers.posted + 1)
        let answer = try HTTPConnection(port: server.endpoint.publishPort).call(server.endpoint.request(number))
        if case .server = server.endpoint.numbering {
            guard let cursor = EventMessage.lastCursor(in: answer.body) else {
                throw BenchError("no cursor in '\(String(decoding: answer.body.prefix(300), as: UTF8.self))'")
            }
            base = cursor
        } else {
            base = number
        }
        lastPosted = base
        restingMemory = try audience.settledMemory()
    }

    private func connect() throws {
        // After the memory was read: what a subscription takes belongs to its socket. Before the clock starts: making
        // it is no part of a handshake.
        let paths = try server.endpoint.subscribePaths(load.sockets)
        let cost = try audience.connect(to: paths)
        values[.handshakeCPU] = cost.serverMicroseconds / Double(load.sockets)
        values[.idleBytes] = try Double(audience.settledMemory() - restingMemory) / Double(load.sockets)
    }

    /// One event at a time: there is nothing to join, so this is what one fan-out costs.
    private func lockstep(_ events: Int) throws {
        for _ in 0..<events {
            try post()
            try audience.waitUntil { allDelivered && audience.allAnswered }
        }
    }

    private func burst(_ events: Int) throws {
        let last = lastPosted + Int64(events)
        try audience.waitUntil {
            while lastPosted < last, undelivered < load.inFlight, publishers.canPost { try post() }
            return lastPosted == last && allDelivered && audience.allAnswered
        }
    }

    /// Notes what the events of a scenario cost, and returns how many deliveries they were.
    private func tell(_ cost: Cost, _ events: Int, cpu: Metric, rate: Metric, client: Metric) -> Double {
        let deliveries = Double(events * load.sockets)
        values[cpu] = cost.serverMicroseconds / deliveries
        values[rate] = deliveries / cost.seconds
        values[client] = cost.clientMicroseconds / deliveries
        return deliveries
    }

    /// A fixed rate, timed from when each post was due: a late client or a busy server can't hide a wait by posting
    /// later.
    private func paced() throws {
        let interval = Int64(1e9 / load.pacedRate)
        let start = nanoseconds() + interval
        subscribers.log.firstTimed = lastPosted + 1
        subscribers.log.due = (0..<load.pacedEvents).map { start + Int64($0) * interval }
        subscribers.isTiming = true
        let spun = audience.spunMicroseconds
        let cost = try stretch {
            try audience.pace(subscribers.log.due) { _ in try post() }
            try audience.waitUntil { allDelivered && audience.allAnswered }
        }
        subscribers.isTiming = false
        let deliveries = Double(load.pacedEvents * load.sockets)
        values[.pacedCPU] = cost.serverMicroseconds / deliveries
        values[.pacedClientCPU] = (cost.clientMicroseconds - (audience.spunMicroseconds - spun)) / deliveries
        let shares = subscribers.log.latencies.milliseconds(at: [0.5, 0.99])
        values[.pacedP50] = shares[0]
        values[.pacedP99] = shares[1]
        let last = try subscribers.log.completions().milliseconds(at: [0.5, 0.99])
        values[.pacedLastP50] = last[0]
        values[.pacedLastP99] = last[1]
    }

    /// The order in which the events must have come. A server that numbers them itself promises to deliver by number,
    /// one that keeps a log by the log; several posts that are under way together may overtake each other before that.
    private func promisedOrder() throws -> [Int64]? {
        switch server.endpoint.numbering {
        case .server: Array((base + 1)...lastPosted)
        case .poster(let log): try log?().filter { $0 > base }
        }
    }

    // MARK: What they are made of

    private var undelivered: Int { Int(lastPosted - base) - subscribers.log.completed }
    private var allDelivered: Bool { undelivered == 0 }

    private func post() throws {
        lastPosted += 1
        try publishers.post(lastPosted)
    }

    private func stretch(_ body: () throws -> Void) throws -> Cost { try audience.stretch(body) }
}
