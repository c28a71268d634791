/// Durable tips a second: every way of posting, without goals and with them, on one server, which is new in each round;
/// then the peers without one.
struct IntakeSeries {
    /// Nil when only peers are measured.
    var tipwire: Tipwire?
    var peers: [IntakePeer]
    var rounds: Int
    /// How long each way of posting runs.
    var seconds: Double
    /// Tips that complete goals, for each way of posting that is measured with such: a page has no more goals than
    /// a thousand.
    var chainedTips: Int

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            if let tipwire { measure(tipwire, round, launcher, &report) }
            for peer in peers { measure(peer, round, launcher, &report) }
        }
    }

    private func sample(_ index: Int, _ suite: Sample.Suite, _ server: String, _ round: Int) -> Sample {
        Sample(suite: suite, setting: index, label: IntakeSetting.all[index].label, server: server, round: round)
    }

    private func measure(_ tipwire: Tipwire, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        report.progress("intake, round \(round)/\(rounds): tipwire")
        var current = 0
        do {
            let (process, api) = try tipwire.serve(launcher)
            defer { process.stop() }
            var server = try IntakeRound(process: process, api: api, warmUp: min(0.3, seconds))
            for (index, setting) in IntakeSetting.all.enumerated() {
                current = index
                var turns: [IntakeRound.Turn] = []
                for page in server.order(round + index) {
                    turns.append(try server.measure(setting, page: page, seconds: seconds))
                }
                if IntakeSetting.chained.contains(index) {
                    turns.append(try server.measureChains(setting, tips: chainedTips))
                }
                for turn in turns { report.add(turn, sample(index, turn.suite, tipwire.name, round)) }
            }
        } catch {
            var failed = sample(current, .intake, tipwire.name, round)
            failed.fault = "\(error)"
            report.add(failed)
        }
    }

    private func measure(_ peer: IntakePeer, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        report.progress("intake, round \(round)/\(rounds): \(peer.rawValue)")
        var rates: [Int: Double] = [:]
        for (index, setting) in IntakeSetting.all.enumerated() {
            // Peers have no connections: each size of commit is measured once a round and stands beside all of them.
            var sample = sample(index, .intake, peer.rawValue, round)
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
