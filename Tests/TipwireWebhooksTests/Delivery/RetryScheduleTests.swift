import Testing
import TipwireCore
import TipwireTestSupport

@testable import TipwireWebhooks

@Suite("When a delivery is tried again")
struct RetryScheduleTests {
    private static let start = Timestamp(milliseconds: 1_750_000_000_000)

    @Test("Ten attempts in about 76 hours, the first wait 5 s and the last a day")
    func whole() throws {
        let schedule = RetrySchedule.standard
        #expect(schedule.attempts == 10)
        let hours = { (count: Double) in Int64(count * 3_600_000) }
        let waits: [Int64] = [
            5_000, 300_000, 1_800_000, hours(2), hours(5), hours(10), hours(14), hours(20), hours(24),
        ]
        #expect(schedule.waits == waits)
        #expect((hours(75.5)...hours(76)).contains(waits.reduce(0, +)))
        for (index, wait) in waits.enumerated() {
            let next = schedule.next(afterAttempt: index + 1, ended: Self.start, chance: 0)
            #expect(next == Self.start.advanced(milliseconds: wait))
        }
        for attempt in [10, 11, 1_000] {
            #expect(schedule.next(afterAttempt: attempt, ended: Self.start, chance: 0) == nil)
        }
    }

    @Test("Jitter adds up to a fifth, and never takes away")
    func jitter() throws {
        var seed = TestSeed()
        for attempt in 1...9 {
            let wait = RetrySchedule.standard.waits[attempt - 1]
            let most = RetrySchedule.standard.next(afterAttempt: attempt, ended: Self.start, chance: 1)
            #expect(most == Self.start.advanced(milliseconds: wait + wait / 5))
            var seen: Set<Int64> = []
            for _ in 0..<100 {
                let chance = Double.random(in: 0..<1, using: &seed)
                let next = try #require(
                    RetrySchedule.standard.next(afterAttempt: attempt, ended: Self.start, chance: chance))
                let passed = next.milliseconds - Self.start.milliseconds
                #expect((wait...wait + wait / 5).contains(passed), "\(seed)")
                seen.insert(passed)
            }
            #expect(seen.count > 20, "\(seed)")
        }
    }

    @Test(
        "Retry-After puts an attempt off as far as a day, and never brings it forward",
        arguments: [
            (RetryAfter.seconds(0), 5_000), (.seconds(4), 5_000), (.seconds(60), 60_000),
            (.seconds(86_400), 86_400_000), (.seconds(86_401), 86_400_000), (.seconds(.max), 86_400_000),
            (.at(start), 5_000), (.at(Timestamp(milliseconds: 0)), 5_000),
            (.at(start.advanced(milliseconds: 61_000)), 61_000),
            (.at(start.advanced(milliseconds: 7 * 86_400_000)), 86_400_000),
            (.at(Timestamp(milliseconds: 253_402_300_799_999)), 86_400_000),
        ] as [(RetryAfter, Int64)])
    func retryAfter(retryAfter: RetryAfter, wait: Int64) {
        let schedule = RetrySchedule.standard
        let next = schedule.next(afterAttempt: 1, ended: Self.start, retryAfter: retryAfter, chance: 0)
        #expect(next == Self.start.advanced(milliseconds: wait))
        let late = schedule.next(afterAttempt: 1, ended: Self.start, retryAfter: retryAfter, chance: 1)
        #expect(late == Self.start.advanced(milliseconds: wait + wait / 5), "those put off together come back apart")
        #expect(schedule.next(afterAttempt: 10, ended: Self.start, retryAfter: retryAfter, chance: 0) == nil)
    }
}

@Suite("Reading Retry-After")
struct RetryAfterTests {
    private static let time = Timestamp(rfc3339: "1994-11-06T08:49:37Z")!

    @Test(
        "Seconds and the three forms of a date are read",
        arguments: [
            ("0", .seconds(0)), ("120", .seconds(120)), (" 7 ", .seconds(7)), ("007", .seconds(7)),
            ("99999999999999999999999", .seconds(.max)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", .at(time)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", .at(time)),
            ("Sun Nov  6 08:49:37 1994", .at(time)),
            ("Tue, 29 Feb 2028 00:00:00 GMT", .at(Timestamp(rfc3339: "2028-02-29T00:00:00Z")!)),
            ("Tuesday, 29-Feb-28 00:00:00 GMT", .at(Timestamp(rfc3339: "2028-02-29T00:00:00Z")!)),
        ] as [(String, RetryAfter)])
    func read(text: String, value: RetryAfter) {
        #expect(RetryAfter(text) == value)
    }

    @Test(
        "Anything else is as if it weren't there",
        arguments: [
            "", " ", "-1", "+1", "1.5", "1e3", "0x10", "soon", "1994-11-06T08:49:37Z", "06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:49:37.5 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov 08:49:37 GMT", "Sun Nov 6 08:49 1994", "١٢",
        ])
    func unread(text: String) {
        #expect(RetryAfter(text) == nil)
    }

    @Test("What we write as a date we read")
    func roundTrip() {
        var seed = TestSeed()
        for _ in 0..<500 {
            let time = Timestamp(milliseconds: Int64.random(in: 0..<253_402_300_800, using: &seed) * 1_000)
            #expect(RetryAfter(time.httpDate) == .at(time), "\(time.httpDate) \(seed)")
        }
    }
}
