/// All forms and numbers of sockets, all servers, all rounds: each combination on a freshly started server.
///
/// The servers take turns, so that a machine that grows slow or busy does it to all of them; ratios are formed within a round.
struct FanoutSeries {
    var contenders: [any Contender]
    var loads: [FanoutLoad]
    var rounds: Int
    /// Descriptors of this process.
    var descriptors: Int

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            for load in loads {
                let entrants = contenders.filter { $0.forms.contains(load.form) }.map {
                    FanoutEntrant($0, load, round: round)
                }
                if (load.sockets + load.inFlight) * entrants.count + 1_000 <= descriptors {
                    measure(load, entrants, launcher, &report)
                } else {
                    // Each with as many turns, but one after the other.
                    for entrant in entrants { measure(load, [entrant], launcher, &report) }
                }
            }
        }
    }

    /// Has them take turns of a fraction of a second. Whoever isn't measured is stopped meanwhile.
    private func measure(_ load: FanoutLoad, _ entrants: [FanoutEntrant], _ launcher: Launcher, _ report: inout Report)
    {
        for entrant in entrants {
            report.progress("fan-out, round \(entrant.sample.round)/\(rounds): \(entrant.title)")
            entrant.start(launcher)
            entrant.take { try $0.prepare() }
        }
        func slices(_ count: Int, _ slice: (FanoutRun) throws -> Void) {
            for _ in 0..<count { for entrant in entrants { entrant.take(slice) } }
        }
        slices(FanoutLoad.lockstepSlices) { try $0.lockstepSlice() }
        slices(load.burstSlices) { try $0.burstSlice() }
        for entrant in entrants {
            entrant.end(&report)
            report.add(entrant.sample)
        }
    }
}
