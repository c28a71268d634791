/// What the subject is meant to reach, on a quiet machine.
struct Aim {
    var what: String
    var limit: String
    var measured: String
    var isMet: Bool
}

/// They are aims, not tests: a miss is told, and nothing fails.
extension Report {
    func printAims() {
        let aims = aims
        guard !aims.isEmpty else { return }
        writeLine("\nAims (medians)")
        for aim in aims {
            writeLine("  \(aim.isMet ? "met   " : "missed")  \(aim.what): \(aim.measured) (\(aim.limit))")
        }
    }

    var aims: [Aim] {
        guard let subject, Sample.Suite.allCases.contains(where: { servers($0).contains(subject) }) else { return [] }
        return peerAims + fanoutAims + eventSubAims + intakeAims + besideAims + crowdAims + webhookAims + recoveryAims
    }

    // MARK: Beside peers

    /// Bars of one figure: who is compared with whom, at how many sockets, and the ratio that is allowed.
    private struct Bar {
        var metric: Metric
        var of: String
        var peer: String
        var suites: [Sample.Suite]
        /// By the number of sockets.
        var atMost: [Int: Double]
        /// Does what the kernel can't be spared and nothing else, in the same way. Where it is over a bar, too, nobody gets below it.
        var floor: Floor?
    }

    private static let bars = [
        Bar(
            metric: .lockstepCPU, of: "tipwire", peer: "socketify", suites: [.webSockets],
            atMost: [1_000: 0.85, 10_000: 0.95], floor: Floor(isRing: true)),
        Bar(
            metric: .lockstepCPU, of: "tipwire", peer: "nchan", suites: [.webSockets, .eventStreams],
            atMost: [1_000: 0.65, 10_000: 0.75], floor: Floor(isRing: true)),
        Bar(
            metric: .lockstepCPU, of: "tipwire-calls", peer: "socketify", suites: [.webSockets],
            atMost: [1_000: 1.15, 10_000: 1.15], floor: Floor()),
        Bar(
            metric: .lockstepCPU, of: "tipwire-calls", peer: "nchan", suites: [.webSockets, .eventStreams],
            atMost: [1_000: 0.85, 10_000: 0.85], floor: Floor()),
        Bar(
            metric: .burstCPU, of: "tipwire", peer: "nchan", suites: [.webSockets, .eventStreams],
            atMost: [1_000: 0.1, 10_000: 0.1]),
        Bar(
            metric: .pacedP99, of: "tipwire", peer: "nchan", suites: [.webSockets, .eventStreams], atMost: [1_000: 1]),
        Bar(
            metric: .idleBytes, of: "tipwire", peer: "nchan", suites: [.webSockets, .eventStreams],
            atMost: [1_000: 0.5, 10_000: 0.5]),
    ]

    private var peerAims: [Aim] {
        Self.bars.flatMap { bar in
            bar.suites.flatMap { suite in
                settings(suite).compactMap { setting, label -> Aim? in
                    let yardstick = Yardstick(name: bar.peer, suite: suite, server: bar.peer)
                    guard let limit = bar.atMost[setting],
                        let share = ratio(bar.metric, suite, setting, of: bar.of, to: yardstick)?.median
                    else { return nil }
                    let floor = bar.floor.flatMap { floor in
                        ratio(bar.metric, suite, setting, of: floor.name, to: yardstick).map {
                            ", \(floor.name) \(Metric.decimal($0.median, 2))"
                        }
                    }
                    return Aim(
                        what: "\(bar.metric.name), \(label), \(bar.of) ÷ \(bar.peer)",
                        limit: "at most \(Metric.decimal(limit, 2))",
                        measured: Metric.decimal(share, 2) + (floor ?? ""), isMet: share <= limit)
                }
            }
        }
    }

    // MARK: By itself

    private var fanoutAims: [Aim] {
        var aims: [Aim] = []
        for suite in [Sample.Suite.webSockets, .eventStreams] {
            for (setting, label) in settings(suite) where setting >= 1_000 {
                aims += aim("idle bytes", "at most 5,120", .idleBytes, suite, setting, label) { $0 <= 5_120 }
                aims += aim("handshake, server CPU µs", "at most 120", .handshakeCPU, suite, setting, label) {
                    $0 <= 120
                }
            }
            for (setting, label) in settings(suite) where setting == 1_000 {
                aims += aim(Metric.pacedLastP99.name, "under 15", .pacedLastP99, suite, setting, label) { $0 < 15 }
            }
        }
        aims += aim("10 a second, p50 ms", "under 2", .pacedP50, .webSockets, 1, "1 WebSocket") { $0 < 2 }
        return aims + growthAims
    }

    /// What a delivery costs in a crowd beside what it costs among few.
    ///
    /// The tip is left out on both sides: shared by a hundred it is half of the cost, and would hide what the other half
    /// grows by. The kernel's own work grows with the sockets, too; the floors do hardly anything else and tell how much.
    private var growthAims: [Aim] {
        func growth(of server: String) -> Double? {
            let few = values(.heardCPU, .webSockets, 100, server)
            let many = values(.heardCPU, .webSockets, 10_000, server)
            let growths = many.compactMap { round, cost in few[round].flatMap { $0 > 0 ? cost / $0 : nil } }
            return Spread(growths)?.median
        }
        guard let subject, let own = growth(of: subject) else { return [] }
        let floors = [Floor(), Floor(isRing: true)].compactMap { floor in
            growth(of: floor.name).map { ", \(floor.name) \(Metric.decimal($0, 2))" }
        }
        return [
            Aim(
                what: "one at a time, \(Metric.heardCPU.name), 10,000 WebSockets ÷ 100", limit: "at most 1.50",
                measured: Metric.decimal(own, 2) + floors.joined(), isMet: own <= 1.5)
        ]
    }

    private var eventSubAims: [Aim] {
        yardsticks(.eventSub).filter { $0.suite == .webSockets }.flatMap { feed in
            settings(.eventSub).filter { $0.setting >= 1_000 }.flatMap { setting, label in
                [Metric.lockstepCPU, .burstCPU].compactMap { metric -> Aim? in
                    guard let share = ratio(metric, .eventSub, setting, to: feed)?.median else { return nil }
                    return Aim(
                        what: "\(metric.name), \(label) ÷ \(feed.name)", limit: "at most 1.25",
                        measured: Metric.decimal(share, 2), isMet: share <= 1.25)
                }
            }
        }
    }

    private var intakeAims: [Aim] {
        var aims: [Aim] = []
        for (place, label) in settings(.intakeWithGoals) {
            let way = IntakeSetting.all[place]
            if way.tips == 1, way.connections == 64 {
                aims += aim("durable tips/s with goals", "12,000", .tipsPerSecond, .intakeWithGoals, place, label) {
                    $0 >= 12_000
                }
            } else if way.tips > 1 {
                aims += aim("durable tips/s with goals", "40,000", .tipsPerSecond, .intakeWithGoals, place, label) {
                    $0 >= 40_000
                }
            }
        }
        for without in yardsticks(.intakeWithGoals) {
            for (setting, label) in settings(.intakeWithGoals) {
                guard let share = ratio(.tipsPerSecond, .intakeWithGoals, setting, to: without)?.median else {
                    continue
                }
                aims.append(
                    Aim(
                        what: "durable tips/s with goals ÷ \(without.name), \(label)", limit: "at least 0.80",
                        measured: Metric.decimal(share, 2), isMet: share >= 0.8))
            }
        }
        return aims
    }

    private var besideAims: [Aim] {
        var aims: [Aim] = []
        let what = "durable tips/s beside listeners of other pages"
        for (suite, what) in [(Sample.Suite.intakeBeside, what), (.intakeShared, "\(what), on all processors")] {
            for (place, label) in settings(suite) {
                let least = IntakeSetting.all[place].tips == 1 ? 12_000.0 : 40_000
                aims += aim(what, Metric.grouped(least), .tipsPerSecond, suite, place, label) { $0 >= least }
            }
        }
        for (setting, label) in settings(.sustained) {
            // The last tips' way to the sockets is in the time.
            aims += aim("tips/s held", "1,000", .sustainedRate, .sustained, setting, label) { $0 >= 990 }
        }
        return aims
    }

    /// What a crowd may cost beside the simpler one that it is compared with.
    private var crowdAims: [Aim] {
        let bars: [(metric: Metric, suite: Sample.Suite, limit: Double)] = [
            (.heardCPU, .manyPages, 1.25), (.idleBytes, .fullHouse, 1.1), (.heardCPU, .amongIdle, 1.1),
            (.crowdCPU, .heapBesideStalled, 1.1),
        ]
        return bars.flatMap { metric, suite, limit in
            yardsticks(suite).flatMap { simpler in
                settings(suite).compactMap { setting, label -> Aim? in
                    guard let share = ratio(metric, suite, setting, to: simpler)?.median else { return nil }
                    return Aim(
                        what: "\(metric.name), \(label) ÷ \(simpler.name)",
                        limit: "at most \(Metric.decimal(limit, 2))", measured: Metric.decimal(share, 2),
                        isMet: share <= limit)
                }
            }
        }
    }

    private var webhookAims: [Aim] {
        var aims: [Aim] = []
        for (setting, label) in settings(.webhooks) {
            aims += aim("durable deliveries/s", "5,000", .webhookRate, .webhooks, setting, label) { $0 >= 5_000 }
        }
        for (setting, label) in settings(.pending) {
            aims += aim("start, s", "under 1", .pendingStart, .pending, setting, label) { $0 < 1 }
            // A record of each in memory would take more than this. Of fewer deliveries the database's caches take more.
            guard setting >= 100_000 else { continue }
            aims += aim("memory, bytes/delivery", "under 100", .pendingBytes, .pending, setting, label) { $0 < 100 }
        }
        return aims
    }

    private var recoveryAims: [Aim] {
        var aims: [Aim] = []
        for (setting, label) in settings(.storm) {
            aims += aim("s", "under 5", .stormSeconds, .storm, setting, label) { $0 < 5 }
            if let subject, let before = spread(.quietP99, .storm, setting, subject)?.median,
                let during = spread(.stormP99, .storm, setting, subject)?.median
            {
                aims.append(
                    Aim(
                        what: "a tip's p99 meanwhile ÷ before, \(label)", limit: "at most 5.00",
                        measured: Metric.decimal(during / before, 2), isMet: during <= 5 * before))
            }
        }
        for (setting, label) in settings(.start) {
            aims += aim("start, ms", "under 100", .longLogStart, .start, setting, label) { $0 < 100 }
            aims += aim("MiB at rest", "under 60", .longLogMemory, .start, setting, label) { $0 < 60 * 1_048_576 }
        }
        return aims
    }

    private func aim(
        _ what: String, _ limit: String, _ metric: Metric, _ suite: Sample.Suite, _ setting: Int, _ label: String,
        _ isMet: (Double) -> Bool
    ) -> [Aim] {
        guard let subject, let median = spread(metric, suite, setting, subject)?.median else { return [] }
        return [Aim(what: "\(what), \(label)", limit: limit, measured: metric.text(median), isMet: isMet(median))]
    }
}
