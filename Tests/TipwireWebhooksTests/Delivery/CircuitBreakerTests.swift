import Testing
import TipwireCore

@testable import TipwireWebhooks

@Suite("The circuit breaker")
struct CircuitBreakerTests {
    private static func time(_ seconds: Int64) -> Timestamp {
        Timestamp(milliseconds: 1_750_000_000_000 + seconds * 1_000)
    }

    private static let limits = {
        var limits = CircuitBreaker.Limits()
        limits.failures = 3
        limits.pause = 30_000
        limits.longestPause = 100_000
        return limits
    }()

    /// A breaker that can be asked inside an expectation, which takes no mutating calls.
    private final class Asked {
        private(set) var value = CircuitBreaker(limits: limits)

        var isOpen: Bool { value.isOpen }
        func admit(at time: Timestamp) -> CircuitBreaker.Admission { value.admit(at: time) }
        func record(_ outcome: AttemptOutcome, at time: Timestamp) { value.record(outcome, at: time) }
        func endPause(at time: Timestamp) { value.endPause(at: time) }
        func abandon(at time: Timestamp) { value.abandon(at: time) }
    }

    private static func opened() -> Asked {
        let breaker = Asked()
        for _ in 0..<3 { breaker.record(.headTimedOut, at: time(0)) }
        return breaker
    }

    @Test("It opens after so many failures in a row, and any number are admitted until then")
    func opens() {
        let breaker = Asked()
        for _ in 0..<2 {
            #expect(breaker.admit(at: Self.time(0)) == .admitted)
            breaker.record(.headTimedOut, at: Self.time(0))
        }
        #expect(breaker.admit(at: Self.time(0)) == .admitted && breaker.admit(at: Self.time(0)) == .admitted)
        #expect(!breaker.isOpen)
        breaker.record(.rejected(status: 500, retryAfter: nil), at: Self.time(1))
        #expect(breaker.isOpen)
        #expect(breaker.admit(at: Self.time(1)) == .held(until: Self.time(31)))
        #expect(breaker.admit(at: Self.time(30)) == .held(until: Self.time(31)))
    }

    @Test("A success in between counts as a new beginning")
    func inARow() {
        let breaker = Asked()
        for _ in 0..<10 {
            breaker.record(.headTimedOut, at: Self.time(0))
            breaker.record(.headTimedOut, at: Self.time(0))
            breaker.record(.delivered(status: 200), at: Self.time(0))
        }
        #expect(!breaker.isOpen)
    }

    @Test("After the pause one attempt is admitted, and no second until it has ended")
    func probe() {
        let breaker = Self.opened()
        #expect(breaker.admit(at: Self.time(30)) == .admitted)
        #expect(breaker.admit(at: Self.time(30)) == .held(until: nil))
        #expect(breaker.admit(at: Self.time(10_000)) == .held(until: nil))
        #expect(breaker.isOpen)
    }

    @Test("A pause that is ended by hand lets one attempt through, and is twice as long when that fails")
    func endPause() {
        let breaker = Self.opened()
        breaker.endPause(at: Self.time(1))
        #expect(breaker.admit(at: Self.time(1)) == .admitted)
        breaker.record(.headTimedOut, at: Self.time(3))
        #expect(breaker.admit(at: Self.time(62)) == .held(until: Self.time(63)))
        #expect(breaker.admit(at: Self.time(63)) == .admitted)
        breaker.endPause(at: Self.time(64))
        #expect(breaker.admit(at: Self.time(64)) == .held(until: nil), "there is a probe already")
        breaker.record(.headTimedOut, at: Self.time(70))
        #expect(breaker.admit(at: Self.time(70)) == .admitted, "but right behind it comes what was asked for")
        breaker.record(.headTimedOut, at: Self.time(80))
        #expect(breaker.admit(at: Self.time(80)) != .admitted, "and that alone")
        let closed = Asked()
        closed.endPause(at: Self.time(1))
        #expect(!closed.isOpen)
    }

    @Test("A probe that succeeds closes it; each that fails opens it for twice as long, up to a limit")
    func probeEnds() {
        let breaker = Self.opened()
        var now: Int64 = 30
        for pause: Int64 in [60, 100, 100] {
            #expect(breaker.admit(at: Self.time(now)) == .admitted)
            breaker.record(.closedEarly(status: nil), at: Self.time(now + 10))
            now += 10 + pause
            #expect(breaker.admit(at: Self.time(now - 1)) == .held(until: Self.time(now)))
            #expect(breaker.value.pausedUntil == Self.time(now))
        }
        #expect(breaker.admit(at: Self.time(now)) == .admitted && breaker.value.pausedUntil == nil)
        breaker.record(.delivered(status: 204), at: Self.time(now + 1))
        #expect(breaker.value == CircuitBreaker(limits: Self.limits))
    }

    @Test("By default it pauses no longer than a delivery waits for its second attempt anyway")
    func defaults() {
        #expect(CircuitBreaker.Limits().pause <= RetrySchedule.standard.waits[0])
    }

    @Test("One failure is enough for it not to be clear, and one success for it to be")
    func clear() {
        let breaker = Asked()
        #expect(breaker.value.isClear)
        breaker.record(.headTimedOut, at: Self.time(0))
        #expect(!breaker.value.isClear && !breaker.isOpen)
        breaker.record(.delivered(status: 200), at: Self.time(1))
        #expect(breaker.value.isClear)
    }

    @Test("A probe that was given up makes room for the next")
    func abandoned() {
        let breaker = Self.opened()
        _ = breaker.admit(at: Self.time(30))
        breaker.abandon(at: Self.time(31))
        #expect(breaker.admit(at: Self.time(31)) == .admitted)
        #expect(breaker.admit(at: Self.time(31)) == .held(until: nil))
        let closed = Asked()
        closed.abandon(at: Self.time(0))
        #expect(closed.value == CircuitBreaker(limits: Self.limits))
    }

    @Test("Attempts from before it opened may end after: a failure prolongs nothing, a success closes it")
    func stragglers() {
        let breaker = Self.opened()
        breaker.record(.headTimedOut, at: Self.time(20))
        #expect(breaker.admit(at: Self.time(20)) == .held(until: Self.time(30)))
        breaker.record(.delivered(status: 200), at: Self.time(21))
        #expect(breaker.admit(at: Self.time(21)) == .admitted && !breaker.isOpen)
    }

    @Test("A clock that is set back doesn't prolong the pause")
    func clock() {
        let breaker = Self.opened()
        #expect(breaker.admit(at: Self.time(-86_400)) == .admitted)
    }
}
