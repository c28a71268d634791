import Testing
import TipwireCore

@testable import TipwireHub

@Suite("What the operator is told of things that come by the thousand")
struct LogThrottleTests {
    @Test("The first has a line, and those of the next seconds are counted in the one after")
    func lines() {
        var throttle = LogThrottle(seconds: 10)
        // At the end the clock is set back by half a minute.
        let lines = [0, 1, 9_999, 10_000, 10_001, 40_000, 50_000, 20_000, 29_999, 30_000].map {
            throttle.admit(at: noon.advanced(milliseconds: $0))
        }
        #expect(lines == [0, nil, nil, 2, nil, 1, 0, 0, nil, 1])
    }
}
