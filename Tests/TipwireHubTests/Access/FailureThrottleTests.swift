import Testing
import TipwireCore

@testable import TipwireHub

@Suite("FailureThrottle")
struct FailureThrottleTests {
    @Test("An address may fail so often in a minute; the next failure is told how long to wait")
    func limit() {
        let throttle = FailureThrottle(maxPerMinute: 3)
        for _ in 0..<3 { #expect(throttle.recordFailure(of: "a", at: noon) == nil) }
        #expect(throttle.recordFailure(of: "a", at: noon) == 60)
        #expect(throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: 20_500)) == 40)
        #expect(throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: 59_999)) == 1)
    }

    @Test("Addresses are counted apart")
    func addresses() {
        let throttle = FailureThrottle(maxPerMinute: 1)
        #expect(throttle.recordFailure(of: "a", at: noon) == nil)
        #expect(throttle.recordFailure(of: "a", at: noon) != nil)
        #expect(throttle.recordFailure(of: "b", at: noon) == nil)
    }

    @Test("A minute after its first failure an address begins anew, however often it failed meanwhile")
    func window() {
        let throttle = FailureThrottle(maxPerMinute: 1)
        for second in 0..<60 {
            _ = throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: Int64(second) * 1_000))
        }
        #expect(throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: 60_000)) == nil)
        #expect(throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: 60_001)) == 60)
    }

    @Test("A clock that is set back locks nobody out for longer")
    func clockSetBack() {
        let throttle = FailureThrottle(maxPerMinute: 1)
        _ = throttle.recordFailure(of: "a", at: noon)
        #expect(throttle.recordFailure(of: "a", at: noon) != nil)
        #expect(throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: -3_600_000)) == nil)
    }

    @Test("A limit of 0 is none")
    func unlimited() {
        let throttle = FailureThrottle(maxPerMinute: 0)
        for _ in 0..<1_000 { #expect(throttle.recordFailure(of: "a", at: noon) == nil) }
    }

    @Test("More addresses than are remembered make those forgotten that may go on anyway, not those past their limit")
    func room() {
        let throttle = FailureThrottle(maxPerMinute: 2)
        for _ in 0..<3 { _ = throttle.recordFailure(of: "guesser", at: noon) }
        _ = throttle.recordFailure(of: "passer-by", at: noon)
        for index in 2..<FailureThrottle.maximumAddresses { _ = throttle.recordFailure(of: "\(index)", at: noon) }
        // A known one needs no room.
        #expect(throttle.recordFailure(of: "passer-by", at: noon) == nil)
        #expect(throttle.recordFailure(of: "2", at: noon) == nil)
        #expect(throttle.recordFailure(of: "2", at: noon) != nil)
        _ = throttle.recordFailure(of: "one more", at: noon)
        #expect(throttle.recordFailure(of: "guesser", at: noon) != nil)
        #expect(throttle.recordFailure(of: "3", at: noon) == nil)
        #expect(throttle.recordFailure(of: "3", at: noon) == nil)
    }

    @Test("More addresses past their limit than are remembered make all forgotten, not memory grow")
    func bound() {
        let throttle = FailureThrottle(maxPerMinute: 1)
        _ = throttle.recordFailure(of: "known", at: noon)
        for index in 1..<FailureThrottle.maximumAddresses { _ = throttle.recordFailure(of: "\(index)", at: noon) }
        #expect(throttle.recordFailure(of: "known", at: noon) != nil)
        _ = throttle.recordFailure(of: "one more", at: noon)
        #expect(throttle.recordFailure(of: "known", at: noon) == nil)
        #expect(throttle.recordFailure(of: "one more", at: noon) != nil)
    }

    @Test(
        "IPv6 is counted by its network, everything else as it is",
        arguments: [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::9", "2001:db8:1:3::/64"), ("::ffff:192.0.2.7", "192.0.2.7"), ("192.0.2.7", "192.0.2.7"),
            ("unknown", "unknown"),
        ])
    func networks(address: String, subject: String) {
        #expect(FailureThrottle.subject(of: address) == subject)
    }

    @Test("Asking for the wait records nothing, and tells it once the limit is reached until the minute is over")
    func asking() {
        let throttle = FailureThrottle(maxPerMinute: 2)
        for _ in 0..<10 { #expect(throttle.wait(of: "a", at: noon) == nil) }
        _ = throttle.recordFailure(of: "a", at: noon)
        #expect(throttle.wait(of: "a", at: noon) == nil)
        _ = throttle.recordFailure(of: "a", at: noon.advanced(milliseconds: 10_000))
        #expect(throttle.wait(of: "a", at: noon.advanced(milliseconds: 10_000)) == 50)
        #expect(throttle.wait(of: "a", at: noon.advanced(milliseconds: 59_999)) == 1)
        #expect(throttle.wait(of: "b", at: noon) == nil)
        #expect(throttle.wait(of: "a", at: noon.advanced(milliseconds: 60_000)) == nil)
        #expect(throttle.wait(of: "a", at: noon.advanced(milliseconds: -1)) == nil)
        let unlimited = FailureThrottle(maxPerMinute: 0)
        _ = unlimited.recordFailure(of: "a", at: noon)
        #expect(unlimited.wait(of: "a", at: noon) == nil)
    }
}
