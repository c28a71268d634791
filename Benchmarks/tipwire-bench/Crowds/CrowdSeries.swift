/// Crowds in other shapes than one page that gets a tip now and then: many pages, and many tips at once. There are no
/// peers.
struct CrowdSeries {
    var tipwire: Tipwire
    /// None, or nil, for each that was not asked for.
    var pages: [PagesLoad]
    var heap: HeapLoad?
    var rounds: Int

    func run(_ launcher: Launcher, into report: inout Report) {
        for round in 1...rounds {
            // The other way round in every other round: whichever comes second may find another machine.
            for load in round.isMultiple(of: 2) ? pages.reversed() : pages {
                measure(load, round, launcher, &report)
            }
            if let heap { measure(heap, round, launcher, &report) }
        }
    }

    private func measure(_ load: PagesLoad, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        report.progress("pages, round \(round)/\(rounds): \(load.label)")
        // One for each suite, so that they can be compared whatever their numbers of sockets.
        let sample = Sample(
            suite: load.suite, setting: 1, label: load.label, server: tipwire.name, round: round)
        report.add(sample) {
            let (process, api) = try tipwire.serve(launcher)
            defer { process.stop() }
            guard let idle = load.idle else { return try PagesRun(load, server: process, api: api).measure() }
            return try idle.beside(idle.makePages(api), process, api) {
                try PagesRun(load, server: process, api: api).measure()
            }
        }
    }

    private func measure(_ load: HeapLoad, _ round: Int, _ launcher: Launcher, _ report: inout Report) {
        report.progress("heap, round \(round)/\(rounds): \(load.label)")
        func sample(_ suite: Sample.Suite, _ label: String) -> Sample {
            Sample(suite: suite, setting: load.sockets, label: label, server: tipwire.name, round: round)
        }
        var beside: [Metric: Double]?
        report.add(sample(.heap, load.label)) {
            let (process, api) = try tipwire.serve(launcher)
            defer { process.stop() }
            let figures = try HeapRun(load, server: process, api: api).measure(stallsFirst: round.isMultiple(of: 2))
            beside = figures.besideStalled
            return figures.heap
        }
        if let beside { report.add(sample(.heapBesideStalled, load.label + ", one more stalls")) { beside } }
    }
}
