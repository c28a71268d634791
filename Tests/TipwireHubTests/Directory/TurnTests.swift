import Testing
import TipwireTestSupport

@testable import TipwireHub

@Suite("Turn", .timeLimit(.minutes(1)))
struct TurnTests {
    private struct Failure: Error {}

    @Test("Operations run one after another in the order of their calls, though each of them waits within")
    func order() async throws {
        let turn = Turn()
        let gate = Gate()
        let log = Watched<[String]>([])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<5 {
                group.addTask {
                    try await turn.take {
                        log.change { $0.append("begin \(index)") }
                        try await gate.pass()
                        await Task.yield()
                        log.change { $0.append("end \(index)") }
                    }
                }
                if index == 0 { try await gate.arrived() }
                // The next call is made when this one stands in the queue.
                try await turn.queued(index)
            }
            #expect(log.value == ["begin 0"])
            gate.open()
            try await group.waitForAll()
        }
        #expect(log.value == (0..<5).flatMap { ["begin \($0)", "end \($0)"] })
    }

    @Test("An operation's value comes back, its error passes on, and the next one has its turn")
    func errors() async throws {
        let turn = Turn()
        #expect(await turn.take { 7 } == 7)
        await #expect(throws: Failure.self) { try await turn.take { throw Failure() } }
        #expect(await turn.take { 8 } == 8)
    }

    @Test("A failure passes the turn to whoever waits")
    func failureWithQueue() async throws {
        let turn = Turn()
        let gate = Gate()
        async let failing: Void = turn.take {
            try await gate.pass()
            throw Failure()
        }
        try await gate.arrived()
        async let waiting = turn.take { 9 }
        try await turn.queued(1)
        gate.open()
        do {
            try await failing
            Issue.record("the failure got lost")
        } catch {
            #expect(error is Failure)
        }
        #expect(await waiting == 9)
    }
}

extension Turn {
    fileprivate var waiting: Int { (Mirror(reflecting: self).descendant("queue") as? [Any])?.count ?? -1 }

    /// Returns when so many calls wait for their turn.
    fileprivate func queued(_ count: Int) async throws {
        while waiting < count {
            try Task.checkCancellation()
            await Task.yield()
        }
    }
}
