import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireHub

@Suite("The hub as a whole", .timeLimit(.minutes(2)))
struct HubPropertyTests {
    /// Sessions of which something went past the connection to its socket, and those of which something was kept. Both ways must
    /// have been gone, or nothing is shown of how they meet.
    private struct Ways: Sendable {
        var direct = 0
        var held = 0
    }

    @Test("Whatever everyone does at once, each listener has the log of its audience from its start, each event once")
    func everythingAtOnce() async throws {
        var seed = TestSeed()
        let ways = Watched(Ways())
        for round in 0..<5 {
            let maxLagBytes = seed.chance(40) ? Int.random(in: 2_000...20_000, using: &seed) : 1 << 30
            let roundSeed = TestSeed(of: seed, round)
            _ = seed.next()
            // Nobody, few or most of those who come back have missed no more than what is at hand.
            let settings = Fanout.Settings.test(maxLagBytes: maxLagBytes, recentEvents: [0, 8, 256][round % 3])
            try await withHub(settings, sharing: .seconds(round % 2)) { hub in
                try await run(hub, seed: roundSeed, note: "round \(round), \(roundSeed)", noting: ways)
            }
        }
        #expect(ways.value.direct > 0 && ways.value.held > 0, "\(ways.value), \(seed)")
    }

    @Test("The same over real sockets with little room, whichever way bytes get to them", arguments: SenderWay.possible)
    func realSockets(way: SenderWay) async throws {
        let seed = TestSeed()
        let ways = Watched(Ways())
        for round in 0..<3 {
            let roundSeed = TestSeed(of: seed, round)
            try await RealSockets.open { sockets in
                try await withHub(
                    .test(recentEvents: [8, 0, 256][round]), sockets: sockets, makeSender: { way.make() }
                ) { hub in
                    try await run(hub, seed: roundSeed, note: "round \(round), \(roundSeed)", noting: ways)
                }
            }
        }
        #expect(ways.value.direct > 0 && ways.value.held > 0, "\(ways.value), \(seed)")
    }

    private func run(_ hub: Hub, seed: TestSeed, note: String, noting ways: Watched<Ways>) async throws {
        let scenario = try await HubScenario(hub, seed: seed)
        let (sessions, doomed) = try await play(scenario)
        // One more tip to each page that is left, so that everyone has something to wait for.
        for page in scenario.pages where !scenario.history.value.deleted.contains(page.id) {
            let answer = try await hub.tip(page)
            scenario.history.change { $0.add([answer]) }
        }
        let history = scenario.history.value
        for session in sessions where !session.left {
            let last = history.view(of: session.audience, after: 0, in: session.dialect).last
            // Who was reset may have been told a start behind that tip, and then has nothing to wait for.
            let told = session.start == .live ? nil : try await session.listener.begun()
            if let last, last > told?.start ?? 0 { try await session.listener.received(through: last) }
        }
        await hub.settle()
        let heard = sessions.map { $0.listener.sink.heard.value }
        ways.change { ways in
            ways.direct += heard.count { $0.hadDirect }
            ways.held += heard.count { $0.timesHeld > 0 }
        }
        for (index, session) in sessions.enumerated() {
            let end = session.listener.sink.heard.value.end
            if case .slow? = end {} else { #expect(end == nil, "\(note)") }
            session.check(
                history, epoch: hub.position.epoch, note: "session \(index), from \(session.start), \(note)")
        }
        for doomed in doomed {
            let heard = doomed.listener.sink.heard.value
            #expect(heard.end == doomed.reason, "\(note)")
            #expect(heard.afterEnd == 0, "\(note)")
            #expect(heard.sequences.count == doomed.hadWhenLost.value, "\(note)")
        }
        #expect(await hub.fanout.statistics().connections == sessions.count { $0.isOpen }, "\(note)")
    }

    /// Everyone at once; returns when the tippers have done and everyone is back.
    private func play(_ scenario: HubScenario) async throws -> ([HubSession], [HubScenario.Doomed]) {
        try await withThrowingTaskGroup(of: [HubSession].self) { group in
            for (index, client) in scenario.clients.enumerated() {
                group.addTask { try await scenario.listen(as: client, index) }
            }
            async let doomed = scenario.doom()
            try await withThrowingTaskGroup(of: Void.self) { tippers in
                for index in 0..<HubScenario.tippers { tippers.addTask { try await scenario.tip(index) } }
                try await tippers.waitForAll()
            }
            scenario.history.change { $0.isOver = true }
            let sessions = try await group.reduce(into: []) { $0 += $1 }
            return (sessions, try await doomed)
        }
    }
}

extension HubSession {
    fileprivate var isOpen: Bool { !left && listener.sink.heard.value.end == nil }
}
