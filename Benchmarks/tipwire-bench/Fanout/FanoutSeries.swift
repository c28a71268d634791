/// All forms and numbers of sockets, all servers, all rounds: each combination on a freshly started server.
///
/// The servers take turns within a round, so that a machine that grows slow or busy does it to all of them; ratios are
/// formed within a round.
struct FanoutSeries {
    var contenders: [any Contender]
    var loads: [FanoutLoad]
    var rounds: Int

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            for load in loads {
                for contender in contenders where contender.forms.contains(load.form) {
                    let label = load.label
                    report.progress("fan-out, round \(round)/\(rounds): \(contender.name), \(label)")
                    var sample = Sample(
                        suite: load.form.suite, setting: load.sockets, label: label, server: contender.name,
                        round: round)
                    do {
                        sample.values = try measure(contender, load, launcher, &report)
                        if let wait = sample.values[.pacedP99], wait > 1_000 / load.pacedRate {
                            report.note(
                                "\(contender.name), \(label): a fan-out lasts longer than the time between two events at "
                                    + "10 a second here, so the latency is mostly waiting for the one before")
                        }
                    } catch {
                        sample.fault = "\(error)"
                    }
                    report.add(sample)
                }
            }
        }
    }

    private func measure(
        _ contender: any Contender, _ load: FanoutLoad, _ launcher: Launcher, _ report: inout Report
    ) throws -> [Metric: Double] {
        let server = try contender.start(launcher, giving: load.form)
        defer { if !server.process.stop() { report.note("\(contender.name) had to be killed at the end of a run") } }
        return try figures(load, server)
    }

    /// A function of its own, so that the run's sockets are closed when it returns and the server is stopped with
    /// nothing left to drain.
    private func figures(_ load: FanoutLoad, _ server: RunningServer) throws -> [Metric: Double] {
        try FanoutRun(load, server: server).measure()
    }
}
