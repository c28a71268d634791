/// Intake on a page with goals while others listen: to other pages, where nothing comes, and to the page itself, where
/// everything does.
struct BesideSeries {
    var tipwire: Tipwire
    var idle: IdleListeners
    var sustained: [SustainedLoad]
    var rounds: Int
    /// How long each way of posting runs beside idle listeners.
    var seconds: Double

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            report.progress("intake beside \(idle.label), round \(round)/\(rounds)")
            measureIdle([.intakeAlone, .intakeBeside], round, launcher, &report)
            if launcher.pinned != nil {
                report.progress("the same on all processors, round \(round)/\(rounds)")
                do {
                    try launcher.sharing { measureIdle([.intakeShared], round, launcher, &report) }
                } catch {
                    report.note("intake on all processors was left out: \(error)")
                }
            }
            for load in sustained {
                report.progress("\(load.label), round \(round)/\(rounds)")
                let sample = Sample(
                    suite: .sustained, setting: load.way.tips, label: load.label, server: tipwire.name, round: round)
                report.add(sample) {
                    let (process, api) = try tipwire.serve(launcher)
                    defer { process.stop() }
                    return try SustainedRun(load, server: process, api: api).measure()
                }
            }
        }
    }

    /// Each way of posting in each suite, with nobody there or beside them: one right after the other, and the first in turns.
    private func measureIdle(
        _ suites: [Sample.Suite], _ round: Int, _ launcher: Launcher, _ report: inout Report
    ) {
        func sample(_ place: Int, _ suite: Sample.Suite) -> Sample {
            let label = IntakeSetting.all[place].label
            return Sample(suite: suite, setting: place, label: label, server: tipwire.name, round: round)
        }
        var current = sample(IntakeSetting.besideOthers[0], suites[suites.count - 1])
        do {
            let (process, api) = try tipwire.serve(launcher)
            defer { process.stop() }
            let slugs = try idle.makePages(api)
            var server = try IntakeRound(process: process, api: api, warmUp: min(0.3, seconds))
            for (turn, place) in IntakeSetting.besideOthers.enumerated() {
                let way = IntakeSetting.all[place]
                for suite in (round + turn).isMultiple(of: 2) ? suites : suites.reversed() {
                    current = sample(place, suite)
                    let result =
                        suite == .intakeAlone
                        ? try server.measure(way, page: IntakePage.withGoals, seconds: seconds)
                        : try idle.beside(slugs, process, api) {
                            try server.measure(way, page: IntakePage.withGoals, seconds: seconds)
                        }
                    report.add(result, current)
                }
            }
        } catch {
            current.fault = "\(error)"
            report.add(current)
        }
    }
}
