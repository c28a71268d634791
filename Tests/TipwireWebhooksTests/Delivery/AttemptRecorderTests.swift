import Testing
import TipwireCore
import TipwireStore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("Keeping how attempts ended", .timeLimit(.minutes(1)))
struct AttemptRecorderTests {
    private static let webhook = WebhookNumber(rawValue: 1)

    private static func progress(_ sequence: Int, of webhook: WebhookNumber = webhook) -> DeliveryProgress {
        DeliveryProgress(
            id: DeliveryID(webhook: webhook, sequence: Int64(sequence)), attempt: nil, round: 1, state: .delivered)
    }

    /// A recorder before it runs, over a store that has no webhooks: what is recorded is what it was given.
    private static func withRecorder(
        health: [WebhookNumber: EndpointHealth] = [:],
        _ body: @Sendable (AttemptRecorder, WebhookBench) async throws -> Void
    ) async throws {
        try await WebhookBench.run { bench in
            let recorder = AttemptRecorder(
                store: bench.store, health: { health[$0] }, clock: bench.clock, logger: silence)
            try await body(recorder, bench)
        }
    }

    /// Runs a recorder beside `body`; returns when both have ended.
    private static func run(
        _ recorder: AttemptRecorder, _ body: @Sendable (inout TaskGroup<Void>) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { running in
            running.addTask { await recorder.run() }
            try await withoutActuallyEscaping(body) { body in
                try await withTaskGroup(of: Void.self) { group -> Result<Void, any Error> in
                    do { return .success(try await body(&group)) } catch { return .failure(error) }
                }.get()
            }
            recorder.stop()
            try await running.waitForAll()
        }
    }

    @Test("What ends while one transaction is kept goes into the next together, and each returns when it is kept")
    func together() async throws {
        try await Self.withRecorder { recorder, bench in
            let gate = Gate()
            bench.store.hook { $0.beforeRecord = { try await gate.pass() } }
            let kept = Watched(0)
            try await Self.run(recorder) { group in
                for sequence in 0..<100 {
                    if sequence == 1 { try await gate.arrived() }
                    group.addTask {
                        await recorder.record(Self.progress(sequence), standing: nil)
                        kept.change { $0 += 1 }
                    }
                }
                try await eventually { recorder.waitingCount == 99 }
                #expect(kept.value == 0)
                gate.open()
                try await kept.wait { $0 == 100 }
            }
            #expect(bench.store.records.value.map(\.count) == [1, 99])
            let ids = bench.store.records.value.joined().map(\.id.sequence)
            #expect(Set(ids) == Set(0..<100))
        }
    }

    @Test("Ends of events that the log has lost are not kept, however long the store refused them; later ones are")
    func lost() async throws {
        try await Self.withRecorder { recorder, bench in
            let gate = Gate()
            bench.store.hook { hooks in
                hooks.beforeRecord = {
                    try await gate.pass()
                    throw LogReplaced()
                }
            }
            try await Self.run(recorder) { group in
                group.addTask { await recorder.record(Self.progress(5), standing: nil) }
                try await gate.arrived()
                for sequence in [4, 6] {
                    group.addTask { await recorder.record(Self.progress(sequence), standing: nil) }
                }
                try await eventually { recorder.waitingCount == 2 }
                recorder.logReplaced(endingAt: 4)
                // Its id stands for an event of the log that is there now.
                group.addTask { await recorder.record(Self.progress(5, of: WebhookNumber(rawValue: 2)), standing: nil) }
                bench.store.hook { $0.beforeRecord = nil }
                gate.open()
                try await eventually {
                    bench.clock.advance(milliseconds: AttemptRecorder.pause)
                    return bench.store.records.value.joined().count == 2
                }
            }
            let kept = bench.store.records.value.joined().map(\.id)
            #expect(Set(kept) == [Self.progress(4).id, Self.progress(5, of: WebhookNumber(rawValue: 2)).id])
        }
    }

    @Test("Of what several ends show of an endpoint the last is kept, and that it is to be disabled")
    func standings() async throws {
        try await Self.withRecorder { recorder, bench in
            let gate = Gate()
            bench.store.hook { $0.beforeRecord = { try await gate.pass() } }
            let other = WebhookNumber(rawValue: 2)
            let time = bench.clock.now()
            try await Self.run(recorder) { group in
                group.addTask { await recorder.record(Self.progress(0), standing: nil) }
                try await gate.arrived()
                let ends: [(WebhookNumber, EndpointStanding?)] = [
                    (Self.webhook, EndpointStanding(failingSince: time, disabled: .gone)),
                    (Self.webhook, EndpointStanding(failingSince: nil)), (Self.webhook, nil),
                    (other, EndpointStanding(failingSince: time)),
                ]
                for (index, (webhook, standing)) in ends.enumerated() {
                    group.addTask {
                        await recorder.record(Self.progress(index + 1, of: webhook), standing: standing)
                    }
                    try await eventually { recorder.waitingCount == index + 1 }
                }
                gate.open()
                await group.waitForAll()
            }
            #expect(
                bench.store.standings.value.last == [
                    Self.webhook: EndpointStanding(failingSince: nil, disabled: .gone),
                    other: EndpointStanding(failingSince: time),
                ])
        }
    }

    @Test("A failure that is kept after the success that came later isn't the last word on its endpoint")
    func order() async throws {
        let health = [Self.webhook: EndpointHealth()]
        try await Self.withRecorder(health: health) { recorder, bench in
            let failing = EndpointStanding(failingSince: bench.clock.now())
            try await Self.run(recorder) { group in
                group.addTask { await recorder.record(Self.progress(1), standing: failing) }
                await group.waitForAll()
            }
            #expect(bench.store.standings.value == [[Self.webhook: EndpointStanding(failingSince: nil)]])
        }
    }

    @Test("What can't be kept is tried again each second, until it is")
    func failure() async throws {
        try await Self.withRecorder { recorder, bench in
            let tries = Watched(0)
            bench.store.hook { hooks in
                hooks.beforeRecord = {
                    if tries.change({
                        $0 += 1; return $0
                    }) <= 3 {
                        throw BrokenStore()
                    }
                }
            }
            let kept = Watched(false)
            try await Self.run(recorder) { group in
                group.addTask {
                    await recorder.record(Self.progress(1), standing: nil)
                    kept.change { $0 = true }
                }
                for count in 1...3 {
                    try await tries.wait { $0 == count }
                    try await eventually { bench.clock.sleepers == 1 }
                    bench.clock.advance(milliseconds: AttemptRecorder.pause - 1)
                    #expect(bench.clock.sleepers == 1 && !kept.value)
                    bench.clock.advance(milliseconds: 1)
                }
                try await kept.wait { $0 }
            }
            #expect(tries.value == 4 && bench.store.records.value.map(\.count) == [1])
        }
    }

    @Test("In a hurry it gives up what can't be kept at once, and keeps what can")
    func hurry() async throws {
        try await Self.withRecorder { recorder, bench in
            let isBroken = Watched(true)
            let tries = Watched(0)
            bench.store.hook { hooks in
                hooks.beforeRecord = {
                    tries.change { $0 += 1 }
                    if isBroken.value { throw BrokenStore() }
                }
            }
            recorder.hurry()
            try await Self.run(recorder) { _ in
                await recorder.record(Self.progress(1), standing: nil)
                #expect(tries.value == 1 && bench.store.records.value == [])
                isBroken.change { $0 = false }
                await recorder.record(Self.progress(2), standing: nil)
            }
            #expect(bench.store.records.value.joined().map(\.id.sequence) == [2])
        }
    }

    @Test("Stopped it keeps what it has, and after that lets nobody wait")
    func stop() async throws {
        try await Self.withRecorder { recorder, bench in
            try await Self.run(recorder) { group in
                let gate = Gate()
                bench.store.hook { $0.beforeRecord = { try await gate.pass() } }
                group.addTask { await recorder.record(Self.progress(1), standing: nil) }
                try await gate.arrived()
                group.addTask { await recorder.record(Self.progress(2), standing: nil) }
                try await eventually { recorder.waitingCount == 1 }
                recorder.stop()
                gate.open()
            }
            #expect(bench.store.records.value.joined().map(\.id.sequence) == [1, 2])
            await recorder.record(Self.progress(3), standing: nil)
            #expect(bench.store.records.value.joined().count == 2)
        }
    }
}
