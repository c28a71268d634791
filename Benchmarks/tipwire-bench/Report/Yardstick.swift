/// What the subject's figures are divided by: those of a peer, or its own of a simpler series.
struct Yardstick {
    /// What stands after the `÷`.
    var name: String
    var suite: Sample.Suite
    var server: String
}

extension Report {
    func yardsticks(_ suite: Sample.Suite) -> [Yardstick] {
        guard let subject, servers(suite).contains(subject) else { return [] }
        let peers = servers(suite).filter { $0 != subject }.map { Yardstick(name: $0, suite: suite, server: $0) }
        guard let own = Self.own(suite, subject), servers(own.suite).contains(subject) else { return peers }
        return peers + [own]
    }

    private static func own(_ suite: Sample.Suite, _ subject: String) -> Yardstick? {
        switch suite {
        case .intake, .webSockets, .webhooks, .pending, .onePage, .withoutIdle, .heap, .intakeAlone, .sustained, .storm,
            .start:
            nil
        case .intakeWithGoals, .intakeWithChains: Yardstick(name: "no goals", suite: .intake, server: subject)
        case .manyPages: Yardstick(name: "one page", suite: .onePage, server: subject)
        case .fullHouse: Yardstick(name: "fewer", suite: .onePage, server: subject)
        case .amongIdle: Yardstick(name: "no idle ones", suite: .withoutIdle, server: subject)
        case .heapBesideStalled: Yardstick(name: "all read", suite: .heap, server: subject)
        case .intakeBeside: Yardstick(name: "alone", suite: .intakeAlone, server: subject)
        case .intakeShared: Yardstick(name: "one processor", suite: .intakeBeside, server: subject)
        case .eventSub, .eventStreams: Yardstick(name: "WebSockets", suite: .webSockets, server: subject)
        }
    }
}
