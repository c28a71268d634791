import NIOCore
import NIOEmbedded
import Testing

@testable import TipwireServer

@Suite("Newcomers")
struct NewcomersTests {
    private let loop = EmbeddedEventLoop()
    private let newcomers: Newcomers

    init() { newcomers = Newcomers(eventLoop: loop) }

    private final class Record {
        var done: [Int] = []
        var timesTold = 0
    }

    @Test("As many as a burst are dealt with at once, the others in their order and not in the same turn")
    func line() {
        let record = Record()
        for number in 0..<30 { newcomers.take { record.done.append(number) } }
        #expect(record.done == Array(0..<Newcomers.burst))
        loop.run()
        #expect(record.done.count == Newcomers.burst, "the end of the turn is no new turn")
        loop.advanceTime(by: Newcomers.turn)
        #expect(record.done == Array(0..<(2 * Newcomers.burst)))
        // Behind those who wait, though there would be room in this turn.
        newcomers.take { record.done.append(30) }
        for _ in 0..<3 { loop.advanceTime(by: Newcomers.longestRest) }
        #expect(record.done == Array(0...30))
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
        loop.advanceTime(by: Newcomers.turn)
        loop.advanceTime(by: Newcomers.longestRest)
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
