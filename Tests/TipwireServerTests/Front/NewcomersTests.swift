import NIOCore
import NIOEmbedded
import Testing
import TipwireSockets

@testable import TipwireServer

@Suite("Newcomers")
struct NewcomersTests {
    private let loop = EmbeddedEventLoop()
    private let newcomers: Newcomers

    init() { newcomers = Newcomers(eventLoop: loop) }

    private final class Record {
        var done: [Int] = []
        var timesTold = 0
        /// What others have taken of the time.
        var spent = TimeAmount.zero
    }

    @Test("As many as a burst are dealt with at once, the others in their order and not in the same turn")
    func line() {
        let record = Record()
        for number in 0..<50 { newcomers.take { record.done.append(number) } }
        #expect(record.done == Array(0..<Newcomers.burst))
        loop.run()
        #expect(record.done.count == Newcomers.burst, "the end of the turn is no new turn")
        loop.advanceTime(by: Rest.shortest)
        #expect(record.done == Array(0..<(2 * Newcomers.burst)))
        // Behind those who wait, though there would be room in this turn.
        newcomers.take { record.done.append(50) }
        for _ in 0..<4 { loop.advanceTime(by: Rest.longest) }
        #expect(record.done == Array(0...50))
    }

    @Test("A burst ends when it has taken its time, and the loop is then everybody else's for as long")
    func time() {
        let record = Record()
        let newcomers = Newcomers(eventLoop: loop) { [loop] in loop.now + record.spent }
        for number in 0..<7 {
            newcomers.take {
                record.done.append(number)
                record.spent = record.spent + .microseconds(400)
            }
        }
        #expect(record.done == [0, 1, 2], "three take more than a burst may")
        loop.run()
        for most in [6, 7] {
            loop.advanceTime(by: .microseconds(1_199))
            #expect(record.done.count == most - (most == 6 ? 3 : 1))
            loop.advanceTime(by: .microseconds(1))
            #expect(record.done == Array(0..<most))
        }
    }

    @Test("A loop that has other work after a burst is left to it, but not for ever")
    func busy() {
        let record = Record()
        let newcomers = Newcomers(eventLoop: loop) { [loop] in loop.now + record.spent }
        newcomers.roomMade = { record.timesTold += 1 }
        let began = loop.now
        record.spent = .microseconds(400)
        newcomers.rest(since: began)
        #expect(!newcomers.hasRoom)
        // Each time it comes to what is due it is late; three times what the burst took is the most.
        var rests = 0
        while !newcomers.hasRoom {
            record.spent = record.spent + .microseconds(150)
            loop.advanceTime(by: .microseconds(400))
            rests += 1
        }
        #expect(rests == 3 && record.timesTold == 1)
    }

    @Test("While there is a rest from those who were accepted, what they ask for waits in the line")
    func restFromBoth() {
        let record = Record()
        newcomers.rest(since: loop.now)
        newcomers.take { record.done.append(1) }
        #expect(record.done == [] && !newcomers.hasRoom)
        loop.advanceTime(by: Rest.shortest)
        #expect(record.done == [1])
    }

    @Test("Who comes alone is dealt with at once, turn after turn")
    func alone() {
        for _ in 0..<3 * Newcomers.burst {
            var isDone = false
            newcomers.take { isDone = true }
            #expect(isDone)
            loop.run()
        }
    }

    @Test("There is no room while anybody waits in the line, and whoever accepts is told when there is")
    func noRoom() {
        let record = Record()
        newcomers.roomMade = { record.timesTold += 1 }
        for _ in 0...Newcomers.burst { newcomers.take {} }
        #expect(!newcomers.hasRoom)
        loop.advanceTime(by: Rest.shortest)
        loop.advanceTime(by: Rest.longest)
        #expect(newcomers.hasRoom && record.timesTold == 1)
    }

    @Test("Those who are silent are waited for, but not for long, and not twice")
    func silence() {
        let record = Record()
        newcomers.roomMade = { record.timesTold += 1 }
        var tickets: [Newcomers.Ticket] = []
        for _ in 0..<Newcomers.maxSilent {
            #expect(newcomers.hasRoom)
            tickets.append(newcomers.accepted())
        }
        #expect(!newcomers.hasRoom)
        newcomers.spoke(tickets[0])
        #expect(newcomers.hasRoom && record.timesTold == 1)
        tickets.append(newcomers.accepted())
        #expect(!newcomers.hasRoom)
        loop.advanceTime(by: Newcomers.patience)
        #expect(newcomers.hasRoom && record.timesTold == 2)
        // The room that is made for those who came later isn't theirs to make.
        for ticket in tickets.dropFirst() { newcomers.spoke(ticket) }
        for _ in 0..<Newcomers.maxSilent { _ = newcomers.accepted() }
        #expect(!newcomers.hasRoom)
    }
}
