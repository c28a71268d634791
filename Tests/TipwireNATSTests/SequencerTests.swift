import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireNATS

@Suite("Sequencer")
struct SequencerTests {
    private let start = ContinuousClock.now
    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    @Test("What follows goes on at once, what is ahead waits for what is missing")
    func order() {
        var sequencer = Sequencer(after: 10)
        #expect(sequencer.offer(events(11...12), bytes: 10, at: at(0)).events == events(11...12))
        #expect(sequencer.deadline == nil)
        #expect(sequencer.offer(events(15...16), bytes: 10, at: at(1)).isEmpty)
        #expect(sequencer.deadline == at(26))
        let release = sequencer.offer(events(13...14), committedAt: at(2), bytes: 10, at: at(3))
        #expect(release.events == events(13...16) && release.committedAt == at(2) && release.holes == 0)
        #expect(sequencer.deadline == nil)
    }

    @Test("What came before, and what comes twice, is dropped")
    func repeats() {
        var sequencer = Sequencer(after: 10)
        #expect(sequencer.offer(events(9...11), bytes: 10, at: at(0)).events == events(11...11))
        _ = sequencer.offer(events(13...13), bytes: 10, at: at(0))
        #expect(sequencer.offer(events(13...13), bytes: 10, at: at(0)).isEmpty)
        #expect(sequencer.offer(events(11...13), bytes: 10, at: at(0)).events == events(12...13))
    }

    @Test(
        "A hole is given up after its patience, not before; behind it everything goes on, and what comes late is dropped"
    )
    func hole() {
        var sequencer = Sequencer(after: 0)
        _ = sequencer.offer(events(2...3), bytes: 10, at: at(0))
        _ = sequencer.offer(events(5...5), bytes: 10, at: at(10))
        #expect(sequencer.expire(at: at(24)).isEmpty)
        let release = sequencer.expire(at: at(25))
        #expect(release.events == events(2...3) && release.holes == 1)
        #expect(sequencer.deadline == at(35))
        #expect(sequencer.offer(events(1...1), bytes: 10, at: at(26)).isEmpty)
        #expect(sequencer.offer(events(4...4), bytes: 10, at: at(27)).events == events(4...5))
        #expect(sequencer.offer(events(6...6), bytes: 10, at: at(28)).events == events(6...6))
    }

    @Test("Too many events or bytes that wait are not waited for")
    func limits() {
        var few = Sequencer(after: 0, limits: .init(events: 2))
        #expect(few.offer(events(2...3), bytes: 10, at: at(0)).isEmpty)
        #expect(few.offer(events(5...5), bytes: 10, at: at(0)).events == events(2...3))
        var small = Sequencer(after: 0, limits: .init(bytes: 100))
        #expect(small.offer(events(2...3), bytes: 100, at: at(0)).isEmpty)
        let release = small.offer(events(5...5), bytes: 1, at: at(0))
        #expect(release.events == events(2...3) && release.holes == 1)
    }

    @Test("A log that is said to be longer is read when its events don't come in time, and only then")
    func rumours() {
        var sequencer = Sequencer(after: 0)
        sequencer.expect(2, at: at(0))
        #expect(sequencer.deadline == at(25))
        _ = sequencer.offer(events(1...2), bytes: 10, at: at(5))
        #expect(sequencer.deadline == nil)
        sequencer.expect(2, at: at(6))
        #expect(sequencer.deadline == nil)
        sequencer.expect(3, at: at(10))
        sequencer.expect(6, at: at(20))
        _ = sequencer.offer(events(3...3), bytes: 10, at: at(30))
        #expect(sequencer.deadline == at(45))
        _ = sequencer.offer(events(5...5), bytes: 10, at: at(40))
        let release = sequencer.expire(at: at(45))
        #expect(release.events == events(5...5) && release.mustRead && release.holes == 2)
        #expect(sequencer.offer(events(7...7), bytes: 10, at: at(46)).events == events(7...7))
    }

    @Test("However batches are mixed, lost and doubled, events come out ascending, and all of them where none is lost")
    func property() {
        var seed = TestSeed()
        for _ in 0..<200 {
            var sequencer = Sequencer(after: 0)
            var batches = (0..<40).map { Int64($0) }.map { events($0 * 3 + 1...$0 * 3 + 3) }
            let isLossy = seed.chance(50)
            if isLossy { batches.removeAll { _ in seed.chance(10) } }
            let sent = batches.flatMap(\.self).map(\.sequence)
            batches = batches.flatMap { seed.chance(10) ? [$0, $0] : [$0] }
            for index in batches.indices.dropLast() where seed.chance(40) { batches.swapAt(index, index + 1) }
            var out: [Int64] = []
            for (step, batch) in batches.enumerated() {
                // Neighbours that were swapped are one step apart: less than the patience.
                out += sequencer.expire(at: at(step * 10)).events.map(\.sequence)
                out += sequencer.offer(batch, bytes: 10, at: at(step * 10)).events.map(\.sequence)
            }
            out += sequencer.expire(at: at(1_000_000)).events.map(\.sequence)
            #expect(zip(out, out.dropFirst()).allSatisfy { $0 < $1 }, "\(seed)")
            #expect(Set(out).isSubset(of: Set(sent)), "\(seed)")
            if !isLossy { #expect(Set(out).count + sequencer.late >= sent.count, "\(seed)") }
            #expect(sequencer.deadline == nil, "\(seed)")
        }
    }
}
