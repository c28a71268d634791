import NIOConcurrencyHelpers
import TipwireCore

/// Sends the tips of a `BurstPlan`, a bounded number at a time, and says on standard error how far it is.
struct TipBurst: Sendable {
    /// Tips that wait for their answer at a time. Each answer waits for the server's disk; sixteen share one commit
    /// well, and more would measure the queue instead of the server.
    static let inFlight = ManagementClient.connections

    let sender: TipSender
    let plan: BurstPlan
    let body: TipBody
    /// Whether each answer goes to standard output.
    let printsAnswers: Bool

    /// Throws the first refusal. No tip is sent after it, but the answers that are due are waited for and counted: a
    /// tip that was sent shall not be left in doubt.
    func run() async throws {
        let tally = NIOLockedValueBox(BurstTally(count: plan.count))
        let refusal = NIOLockedValueBox<(any Error)?>(nil)
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await report { tally.withLockedValue { $0.progress(after: .now - start) } } }
            var running = 0
            for index in 0..<plan.count {
                // The reporter never ends by itself, so whatever `next` returns was a tip.
                if running == Self.inFlight {
                    await group.next()
                    running -= 1
                }
                guard await waited(until: start + plan.due(index), unless: { refusal.withLockedValue { $0 != nil } })
                else { break }
                tally.withLockedValue { $0.send() }
                running += 1
                group.addTask {
                    do {
                        let acknowledgement = try await send(index)
                        tally.withLockedValue { $0.acknowledge(acknowledgement) }
                        if printsAnswers { try TextOutput.answers.write(acknowledgement.answer.jsonLine) }
                    } catch {
                        tally.withLockedValue { $0.fail() }
                        refusal.withLockedValue { $0 = $0 ?? error }
                    }
                }
            }
            for _ in 0..<running { await group.next() }
            group.cancelAll()
        }
        let summary = tally.withLockedValue { $0.summary(after: .now - start) }
        if TextOutput.notes.isTerminal { try? TextOutput.notes.write(Self.clearLine) }
        if printsAnswers { TextOutput.notes.note(summary) } else { try TextOutput.answers.line(summary) }
        if let error = refusal.withLockedValue({ $0 }) { throw error }
    }

    private func send(_ index: Int) async throws -> Acknowledgement {
        var tip = body
        let name = plan.name(index)
        if plan.id != nil { tip.id = name.text }
        return try await sender.send(tip, idempotencyKey: plan.id == nil ? name : nil)
    }

    /// Waits for a tip's time; false as soon as there is a reason to stop. In slices, since at a low rate the next tip
    /// may be minutes away when the one before is refused.
    private func waited(until due: ContinuousClock.Instant, unless stopped: () -> Bool) async -> Bool {
        while !stopped() {
            let now = ContinuousClock.now
            if now >= due { return true }
            try? await Task.sleep(until: min(due, now + .milliseconds(250)), tolerance: .zero, clock: .continuous)
        }
        return false
    }

    private func report(_ progress: @Sendable () -> String) async {
        let notes = TextOutput.notes
        let interval: Duration = notes.isTerminal ? .milliseconds(100) : .seconds(1)
        while (try? await Task.sleep(for: interval)) != nil {
            if notes.isTerminal { try? notes.write(Self.clearLine + progress()) } else { notes.note(progress()) }
        }
    }

    private static let clearLine = "\r\u{1B}[2K"
}
