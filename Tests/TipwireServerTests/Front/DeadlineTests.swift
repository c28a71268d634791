import NIOCore
import NIOEmbedded
import Testing

@testable import TipwireServer

@Suite("The time by which something must have happened")
struct DeadlineTests {
    private final class Count { var passed = 0 }

    private let eventLoop = EmbeddedEventLoop()
    private let count = Count()
    private let deadline: Deadline

    init() { deadline = Deadline(on: eventLoop) { [count] in count.passed += 1 } }

    @Test("It passes once, and not before its time")
    func passes() {
        deadline.set(within: .milliseconds(10))
        eventLoop.advanceTime(by: .milliseconds(9))
        #expect(count.passed == 0)
        eventLoop.advanceTime(by: .milliseconds(1))
        #expect(count.passed == 1)
        eventLoop.advanceTime(by: .seconds(1))
        #expect(count.passed == 1)
    }

    @Test("The last time that was set counts, be it later or sooner")
    func setAnew() {
        deadline.set(within: .milliseconds(10))
        eventLoop.advanceTime(by: .milliseconds(5))
        deadline.set(within: .milliseconds(20))
        eventLoop.advanceTime(by: .milliseconds(19))
        #expect(count.passed == 0)
        eventLoop.advanceTime(by: .milliseconds(1))
        #expect(count.passed == 1)
        deadline.set(within: .seconds(10))
        deadline.set(within: .milliseconds(5))
        eventLoop.advanceTime(by: .milliseconds(5))
        #expect(count.passed == 2)
        eventLoop.advanceTime(by: .seconds(10))
        #expect(count.passed == 2)
    }

    @Test("None is none, and is followed by the next")
    func none() {
        deadline.set(within: .milliseconds(10))
        deadline.set(within: nil)
        eventLoop.advanceTime(by: .seconds(1))
        #expect(count.passed == 0)
        deadline.set(within: .milliseconds(10))
        eventLoop.advanceTime(by: .milliseconds(10))
        #expect(count.passed == 1)
    }

    @Test("Once it is cancelled it keeps nothing, and can't be set")
    func cancelled() {
        weak var kept: Count?
        do {
            let mine = Count()
            kept = mine
            let deadline = Deadline(on: eventLoop) { mine.passed += 1 }
            deadline.set(within: .milliseconds(10))
            deadline.cancel()
            deadline.set(within: .milliseconds(10))
        }
        #expect(kept == nil)
        eventLoop.advanceTime(by: .seconds(1))
    }
}
