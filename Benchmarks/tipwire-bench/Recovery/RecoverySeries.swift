/// What follows an interruption: everyone comes back, and a server starts with a long past. There are no peers.
struct RecoverySeries {
    var tipwire: Tipwire
    /// None, or nil, for what was not asked for.
    var storms: [StormLoad]
    var start: StartRun?
    var rounds: Int

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            for place in storms.indices { measureStorm(place, round, launcher, &report) }
        }
        if let start { measure(start, launcher, &report) }
    }

    private func measureStorm(_ place: Int, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        let load = storms[place]
        report.progress("storm, round \(round)/\(rounds): \(load.label)")
        let sample = Sample(
            suite: .storm, setting: place, label: load.label, server: tipwire.name, round: round)
        report.add(sample) { try StormRun(load, tipwire: tipwire, launcher: launcher).measure() }
    }

    /// The log is made once, and started on in each round.
    private func measure(_ run: StartRun, _ launcher: Launcher, _ report: inout Report) {
        report.progress("start, \(run.starts) rounds: \(run.label)")
        func sample(_ round: Int) -> Sample {
            Sample(suite: .start, setting: run.events, label: run.label, server: tipwire.name, round: round)
        }
        do {
            for (index, values) in try run.measure(tipwire, launcher).enumerated() {
                var sample = sample(index + 1)
                sample.values = values
                report.add(sample)
            }
        } catch {
            var failed = sample(1)
            failed.fault = "\(error)"
            report.add(failed)
        }
    }
}
