/// Durable tips a second: every way of posting on one server, which is new in each round, then the peers without one.
struct IntakeSeries {
    /// Nil when only peers are measured.
    var tipwire: Tipwire?
    var peers: [IntakePeer]
    var rounds: Int
    /// How long each way of posting runs.
    var seconds: Double

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            if let tipwire { measure(tipwire, round, launcher, &report) }
            for peer in peers { measure(peer, round, launcher, &report) }
        }
    }

    private func sample(_ index: Int, _ server: String, _ round: Int) -> Sample {
        Sample(suite: .intake, setting: index, label: IntakeSetting.all[index].label, server: server, round: round)
    }

    private func measure(_ tipwire: Tipwire, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        report.progress("intake, round \(round)/\(rounds): tipwire")
        var index = 0
        do {
            let (process, port, key) = try tipwire.serve(launcher)
            defer { process.stop() }
            var audit = try LogAudit(port: port, key: key)
            // The first requests of a process pay for what is made once.
            let warmUp = try IntakeLoad(IntakeSetting(connections: 4, tips: 1), port: port, key: key)
            try warmUp.run(seconds: min(0.3, seconds))
            var acknowledged = warmUp.acknowledged
            for setting in IntakeSetting.all {
                var sample = sample(index, tipwire.name, round)
                let load = try IntakeLoad(setting, port: port, key: key)
                let cost = try Cost(of: process) { try load.run(seconds: seconds) }
                acknowledged += load.acknowledged
                let tips = Double(max(load.acknowledged, 1))
                let shares = load.latencies.milliseconds(at: [0.5, 0.99])
                sample.values = [
                    .tipsPerSecond: Double(load.acknowledged) / cost.seconds, .tipCPU: cost.serverMicroseconds / tips,
                    .requestP50: shares[0], .requestP99: shares[1],
                ]
                if load.refused > 0 { report.note("\(setting.label): \(load.refused) requests were answered 503") }
                try audit.readOn()
                if audit.events != acknowledged {
                    sample.fault = "\(acknowledged) tips were acknowledged, the log has \(audit.events)"
                }
                report.add(sample)
                index += 1
            }
        } catch {
            var failed = sample(min(index, IntakeSetting.all.count - 1), tipwire.name, round)
            failed.fault = "\(error)"
            report.add(failed)
        }
    }

    private func measure(_ peer: IntakePeer, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        report.progress("intake, round \(round)/\(rounds): \(peer.rawValue)")
        var rates: [Int: Double] = [:]
        for (index, setting) in IntakeSetting.all.enumerated() {
            // Peers have no connections: each size of commit is measured once a round and stands beside all of them.
            var sample = sample(index, peer.rawValue, round)
            do {
                let rate =
                    try rates[setting.tips]
                    ?? peer.tipsPerSecond(batch: setting.tips, seconds: min(seconds, 0.5), launcher)
                rates[setting.tips] = rate
                sample.values = [.tipsPerSecond: rate]
            } catch {
                sample.fault = "\(error)"
            }
            report.add(sample)
        }
    }
}
