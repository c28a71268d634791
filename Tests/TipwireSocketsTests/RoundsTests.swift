import NIOCore
import NIOEmbedded
import Testing

@testable import TipwireSockets

@Suite("Rounds")
struct RoundsTests {
    private let loop = EmbeddedEventLoop()

    private final class Record {
        var done: [Int] = []
        /// What the work has taken of the time, which stands still otherwise.
        var spent = TimeAmount.zero
    }

    @Test("The first has its turn after the shortest rest, and those of the same moment with it")
    func together() {
        let record = Record()
        let rounds = Rounds<Int>(eventLoop: loop) { record.done.append($0) }
        for number in 0..<1000 { rounds.append(number) }
        loop.run()
        #expect(record.done == [])
        loop.advanceTime(by: Rest.shortest)
        #expect(record.done == Array(0..<1000))
    }

    @Test("A round ends when it has taken its time, and the rest after it is as long")
    func time() {
        let record = Record()
        let rounds = Rounds<Int>(eventLoop: loop, now: { [loop] in loop.now + record.spent }) {
            record.done.append($0)
            record.spent = record.spent + .microseconds(400)
        }
        for number in 0..<7 { rounds.append(number) }
        loop.advanceTime(by: Rest.shortest)
        #expect(record.done == [0, 1, 2], "three take more than a round may")
        for most in [6, 7] {
            let before = record.done.count
            loop.advanceTime(by: .microseconds(1_199))
            #expect(record.done.count == before)
            loop.advanceTime(by: .microseconds(1))
            #expect(record.done == Array(0..<most))
        }
    }

    @Test("Work that brings more work has one turn of it at a time, however quick it is", arguments: [true, false])
    func endless(isAtOnce: Bool) {
        let record = Record()
        var rounds: Rounds<Int>?
        rounds = Rounds(eventLoop: loop) { number in
            record.done.append(number)
            // The answer to a request comes before the loop is done with what it was at.
            if isAtOnce { rounds?.append(number + 1) } else { self.loop.execute { rounds?.append(number + 1) } }
        }
        rounds?.append(0)
        for number in 0...3 {
            loop.advanceTime(by: Rest.shortest)
            #expect(record.done == Array(0...number), "it would never have come back from here")
        }
        rounds = nil
        loop.advanceTime(by: Rest.shortest)
    }

    @Test("What comes back in its own round doesn't shorten the rest")
    func comesBack() {
        let record = Record()
        var rounds: Rounds<Int>?
        rounds = Rounds(eventLoop: loop, now: { [loop] in loop.now + record.spent }) {
            record.done.append($0)
            record.spent = record.spent + .microseconds(300)
            rounds?.append($0)
        }
        rounds?.append(1)
        rounds?.append(2)
        loop.advanceTime(by: Rest.shortest)
        for round in 1...3 {
            #expect(record.done.count == 2 * round)
            loop.advanceTime(by: .microseconds(599))
            #expect(record.done.count == 2 * round, "both took 600 µs")
            loop.advanceTime(by: .microseconds(1))
        }
        rounds = nil
    }

    @Test("A loop that has other work after a round is left to it, but not for ever", arguments: [1, 3])
    func busy(factor: Int) {
        let record = Record()
        let rounds = Rounds<Int>(
            eventLoop: loop, restFactor: factor, now: { [loop] in loop.now + record.spent }
        ) {
            record.done.append($0)
            record.spent = record.spent + .microseconds(400)
        }
        rounds.append(0)
        loop.advanceTime(by: Rest.shortest)
        rounds.append(1)
        // Each time it comes to what is due it is late.
        var rests = 0
        while record.done.count == 1 {
            record.spent = record.spent + .microseconds(150)
            loop.advanceTime(by: .microseconds(400))
            rests += 1
        }
        #expect(rests == factor)
    }
}
