import Testing
import TipwireCore

@testable import TipwireHub

@Suite("LogPosition")
struct LogPositionTests {
    @Test("The position only moves forward, head and pruning each for itself")
    func forward() {
        let position = LogPosition(LogBounds(epoch: "e", head: 10, prunedThrough: 3))
        position.advance(to: LogBounds(epoch: "e", head: 9, prunedThrough: 5))
        #expect(position.bounds == LogBounds(epoch: "e", head: 10, prunedThrough: 5))
        position.advance(to: LogBounds(epoch: "e", head: 12, prunedThrough: 4))
        #expect(position.bounds == LogBounds(epoch: "e", head: 12, prunedThrough: 5))
    }

    @Test("Who has read moves the beginning of the log, and of its end only what has been seen")
    func read() {
        let position = LogPosition(LogBounds(epoch: "e", head: 10, prunedThrough: 3))
        position.saw(LogBounds(epoch: "e", head: 12, prunedThrough: 5))
        #expect(position.bounds == LogBounds(epoch: "e", head: 10, prunedThrough: 5))
        #expect(position.seen == LogBounds(epoch: "e", head: 12, prunedThrough: 5))
        position.saw(LogBounds(epoch: "f", head: 14, prunedThrough: 7))
        #expect(position.seen == LogBounds(epoch: "e", head: 12, prunedThrough: 5))
        position.advance(to: LogBounds(epoch: "e", head: 13, prunedThrough: 5))
        #expect(position.bounds == position.seen && position.seen.head == 13)
        // Of the log that takes its place nothing was seen.
        position.replace(with: LogBounds(epoch: "f", head: 3, prunedThrough: 0))
        #expect(position.seen == LogBounds(epoch: "f", head: 3, prunedThrough: 0))
    }

    @Test("The epoch is that of the start")
    func epoch() {
        let position = LogPosition(LogBounds(epoch: "e", head: 0, prunedThrough: 0))
        position.advance(to: LogBounds(epoch: "f", head: 1, prunedThrough: 0))
        #expect(position.epoch == "e")
        #expect(position.bounds.epoch == "e")
    }

    @Test("Advances from many threads end at the furthest")
    func concurrent() async {
        let position = LogPosition(LogBounds(epoch: "e", head: 0, prunedThrough: 0))
        await withTaskGroup(of: Void.self) { group in
            for head in (1...200).shuffled() {
                group.addTask { position.advance(to: LogBounds(epoch: "e", head: Int64(head), prunedThrough: 0)) }
            }
        }
        #expect(position.bounds.head == 200)
    }
}
