/// One server and its pages, which are posted to in turns.
struct IntakeRound {
    private let process: ChildProcess
    private let api: TipwireAPI
    private var pages = IntakePage.lasting
    private var audit: LogAudit

    /// What one turn gave.
    struct Turn {
        var suite: Sample.Suite
        var values: [Metric: Double]
        /// Requests that were answered 503.
        var refused: Int
        /// What the page doesn't hold that it should.
        var fault: String?
    }

    /// Makes the pages, and posts to each: the first requests of a process pay for what is made once.
    init(process: ChildProcess, api: TipwireAPI, warmUp seconds: Double) throws {
        self.process = process
        self.api = api
        audit = LogAudit(api)
        for index in pages.indices {
            try pages[index].prepare(api)
            _ = try post(IntakeSetting(connections: 4, tips: 1), to: index, .seconds(seconds))
            try audit.readOn(pages[index].slug)
        }
    }

    /// The lasting pages' places in the order of their turns: the later meets a log that the earlier has grown, so they
    /// take turns at that, too.
    func order(_ turn: Int) -> [Int] {
        let places = IntakePage.lasting.indices
        return turn.isMultiple(of: 2) ? Array(places) : places.reversed()
    }

    /// Posts to a lasting page for a while, then reads what it holds.
    mutating func measure(_ setting: IntakeSetting, page: Int, seconds: Double) throws -> Turn {
        try measure(setting, page, .seconds(seconds))
    }

    /// Posts so many tips, each of which completes goals, to a page that is made for them.
    mutating func measureChains(_ setting: IntakeSetting, tips: Int) throws -> Turn {
        pages.append(.chains(pages.count, tips: tips))
        try pages[pages.count - 1].prepare(api)
        return try measure(setting, pages.count - 1, .tips(tips))
    }

    private mutating func measure(_ setting: IntakeSetting, _ page: Int, _ extent: IntakeLoad.Extent) throws -> Turn {
        let (load, cost) = try post(setting, to: page, extent)
        let tips = Double(max(load.acknowledged, 1))
        let shares = load.latencies.milliseconds(at: [0.5, 0.99])
        try audit.readOn(pages[page].slug)
        return Turn(
            suite: pages[page].suite,
            values: [
                .tipsPerSecond: Double(load.acknowledged) / cost.seconds, .tipCPU: cost.serverMicroseconds / tips,
                .requestP50: shares[0], .requestP99: shares[1],
            ], refused: load.refused, fault: try pages[page].fault(audit, api))
    }

    private mutating func post(
        _ setting: IntakeSetting, to page: Int, _ extent: IntakeLoad.Extent
    ) throws -> (IntakeLoad, Cost) {
        let load = try IntakeLoad(setting, page: pages[page].slug, api)
        let cost = try Cost(of: process) { try load.run(extent) }
        pages[page].acknowledged += load.acknowledged
        return (load, cost)
    }
}

extension Report {
    /// Adds what a turn gave.
    mutating func add(_ turn: IntakeRound.Turn, _ sample: Sample) {
        var sample = sample
        sample.values = turn.values
        sample.fault = turn.fault
        if turn.refused > 0 { note("\(sample.label): \(turn.refused) requests were answered 503") }
        add(sample)
    }
}
