import Testing
import TipwireCore
import TipwireTestSupport

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
        let listener = wakeUp.listen()
        wakeUp.signal(try events(1...3))
        wakeUp.signal()
        wakeUp.signal(try events(4...4))
        #expect(listener.take(after: 0).map(\.sequence) == [1, 2, 3, 4])
        #expect(listener.take(after: 4).isEmpty)
    }

    @Test("Each listener hears everything, whatever the others have taken")
    func listeners() throws {
        let wakeUp = WakeUp()
        let (one, other) = (wakeUp.listen(), wakeUp.listen())
        wakeUp.signal(try events(1...2))
        #expect(one.take(after: 0).count == 2)
        wakeUp.signal(try events(3...3))
        #expect(one.take(after: 2).map(\.sequence) == [3])
        #expect(other.take(after: 0).map(\.sequence) == [1, 2, 3])
    }

    @Test("Events count only while they follow without a hole, and known ones are left out")
    func holes() throws {
        let wakeUp = WakeUp()
        let listener = wakeUp.listen()
        wakeUp.signal(try events(1...4))
        #expect(listener.take(after: 2).map(\.sequence) == [3, 4])
        wakeUp.signal(try events(6...7))
        #expect(listener.take(after: 4).isEmpty)
        wakeUp.signal(try events(5...6))
        wakeUp.signal(try events(8...8))
        #expect(listener.take(after: 4).isEmpty)
    }

    @Test("Whoever was told of anything but events that follow knows that the log has more")
    func wholeness() throws {
        let wakeUp = WakeUp()
        let listener = wakeUp.listen()
        func isWhole(after sequence: Int64) -> Bool { listener.takeNews(after: sequence).isWhole }
        #expect(isWhole(after: 0))
        wakeUp.signal(try events(1...3))
        #expect(isWhole(after: 0))
        wakeUp.signal(try events(1...3))
        #expect(isWhole(after: 3), "what is known already is nothing to read for")
        wakeUp.signal(try events(5...5))
        #expect(!isWhole(after: 3))
        wakeUp.signal(try events(4...4))
        wakeUp.signal()
        #expect(!isWhole(after: 3))
        wakeUp.signal(try events(4...Int64(WakeUp.Listener.maximumEvents) + 3))
        wakeUp.signal(try events(Int64(WakeUp.Listener.maximumEvents) + 4...Int64(WakeUp.Listener.maximumEvents) + 4))
        let news = listener.takeNews(after: 3)
        #expect(news.events.count == WakeUp.Listener.maximumEvents && !news.isWhole)
        #expect(isWhole(after: 0))
    }

    @Test("The oldest commit since the last look is known, also when its events don't follow or didn't fit")
    func oldestCommit() throws {
        let wakeUp = WakeUp()
        let listener = wakeUp.listen()
        let (first, second) = (ContinuousClock.now, ContinuousClock.now.advanced(by: .seconds(1)))
        #expect(listener.takeNews(after: 0).oldestCommit == nil)
        wakeUp.signal(try events(5...5), committedAt: first)
        wakeUp.signal(try events(6...6), committedAt: second)
        wakeUp.signal()
        let news = listener.takeNews(after: 0)
        #expect(news.events.isEmpty && news.oldestCommit == first)
        wakeUp.signal(try events(7...7), committedAt: second)
        #expect(listener.takeNews(after: 6).oldestCommit == second)
        #expect(listener.takeNews(after: 7).oldestCommit == nil)
    }

    @Test("Any number of signals before a look is one look")
    func coalescing() async {
        let wakeUp = WakeUp()
        let listener = wakeUp.listen()
        for _ in 0..<100 { wakeUp.signal() }
        listener.finish()
        var looks = 0
        for await _ in listener.signals { looks += 1 }
        #expect(looks == 1)
    }

    @Test("A signal after a look is another look")
    func again() async {
        let wakeUp = WakeUp()
        let listener = wakeUp.listen()
        var looks = listener.signals.makeAsyncIterator()
        for _ in 0..<3 {
            wakeUp.signal()
            #expect(await looks.next() != nil)
        }
        listener.finish()
        #expect(await looks.next() == nil)
    }

    @Test("Events past the bound are dropped, the signal is not, and room is made by the next look")
    func overflow() async throws {
        let wakeUp = WakeUp()
        let listener = wakeUp.listen()
        let most = Int64(WakeUp.Listener.maximumEvents)
        wakeUp.signal(try events(1...most))
        wakeUp.signal(try events(most + 1...most + 1))
        #expect(listener.take(after: 0).count == WakeUp.Listener.maximumEvents)
        wakeUp.signal(try events(most + 2...most + 2))
        #expect(listener.take(after: most + 1).map(\.sequence) == [most + 2])
        wakeUp.signal(try events(1...most + 1))
        #expect(listener.take(after: 0).isEmpty)
        listener.finish()
        var looks = 0
        for await _ in listener.signals { looks += 1 }
        #expect(looks == 1)
    }

    @Test("Who isn't interested hears of no events, and finds them missing when it is again")
    func interest() throws {
        let wakeUp = WakeUp()
        let isInterested = Watched(false)
        let calls = Watched(0)
        let listener = wakeUp.listen { isInterested.value }
        listener.call { calls.change { $0 += 1 } }
        wakeUp.signal(try events(1...2))
        #expect(calls.value == 0 && listener.take(after: 0).isEmpty)
        wakeUp.signal()
        #expect(calls.value == 1)
        _ = listener.takeAll()
        isInterested.change { $0 = true }
        wakeUp.signal(try events(3...3))
        #expect(calls.value == 2 && !listener.takeNews(after: 0).isWhole)
    }

    @Test("Who is called is called for each signal and each nudge, of which a nudge tells nothing")
    func calls() throws {
        let wakeUp = WakeUp()
        let calls = Watched(0)
        let listener = wakeUp.listen()
        listener.call { calls.change { $0 += 1 } }
        for _ in 0..<3 { wakeUp.signal(try events(1...1)) }
        wakeUp.nudge()
        #expect(calls.value == 4)
        _ = listener.takeAll()
        wakeUp.nudge()
        let news = listener.takeAll()
        #expect(news.events.isEmpty && news.isWhole && news.oldestCommit == nil)
    }
}
