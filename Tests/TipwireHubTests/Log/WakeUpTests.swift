import Testing
import TipwireCore

@testable import TipwireHub

@Suite("WakeUp", .timeLimit(.minutes(1)))
struct WakeUpTests {
    private func events(_ sequences: ClosedRange<Int64>) throws -> [Event] {
        let tip = Tip(try draft(), id: .random(), committedAt: noon)
        return sequences.map {
            Event(sequence: $0, page: Page.ID(rawValue: 1), time: noon, body: .tipReceived(tip, goal: nil))
        }
    }

    @Test("Events of several signals are taken together, in order, once")
    func order() throws {
        let wakeUp = WakeUp()
        wakeUp.signal(try events(1...3))
        wakeUp.signal()
        wakeUp.signal(try events(4...4))
        #expect(wakeUp.take().map(\.sequence) == [1, 2, 3, 4])
        #expect(wakeUp.take().isEmpty)
    }

    @Test("Any number of signals before a look is one look")
    func coalescing() async {
        let wakeUp = WakeUp()
        for _ in 0..<100 { wakeUp.signal() }
        wakeUp.finish()
        var looks = 0
        for await _ in wakeUp.signals { looks += 1 }
        #expect(looks == 1)
    }

    @Test("A signal after a look is another look")
    func again() async {
        let wakeUp = WakeUp()
        var looks = wakeUp.signals.makeAsyncIterator()
        for _ in 0..<3 {
            wakeUp.signal()
            #expect(await looks.next() != nil)
        }
        wakeUp.finish()
        #expect(await looks.next() == nil)
    }

    @Test("Events past the bound are dropped, the signal is not, and room is made by the next look")
    func overflow() async throws {
        let wakeUp = WakeUp()
        let most = Int64(WakeUp.maximumEvents)
        wakeUp.signal(try events(1...most))
        wakeUp.signal(try events(most + 1...most + 1))
        #expect(wakeUp.take().count == WakeUp.maximumEvents)
        wakeUp.signal(try events(most + 2...most + 2))
        #expect(wakeUp.take().map(\.sequence) == [most + 2])
        wakeUp.signal(try events(1...most + 1))
        #expect(wakeUp.take().isEmpty)
        wakeUp.finish()
        var looks = 0
        for await _ in wakeUp.signals { looks += 1 }
        #expect(looks == 1)
    }
}
