import Testing
import TipwireCore

@testable import TipwireHub

@Suite("ClockWatch")
struct ClockWatchTests {
    private let start = ContinuousClock.now

    /// What the clock says, in seconds from noon, after so many seconds of running; and whether it is believed.
    private func check(_ rows: [(says: Int64, after: Int64, isTrusted: Bool)]) {
        var watch = ClockWatch(at: noon, uptime: start)
        for row in rows {
            let time = noon.advanced(milliseconds: row.says * 1_000)
            let isTrusted = watch.trusts(time, uptime: start.advanced(by: .seconds(row.after)))
            #expect(isTrusted == row.isTrusted, "\(row)")
        }
    }

    @Test("A clock that runs is trusted, for any time and with any small correction")
    func running() {
        check([(0, 0, true), (60, 60, true), (86_400, 86_400, true), (90_000, 86_400, true), (86_400, 86_400, true)])
        check([(3_600, 0, true), (-1, 0, false)])
        check([(-3_600, 0, true)])
        check([(3_601, 0, false)])
    }

    @Test("Small corrections may add up to anything")
    func drift() {
        check((1...50).map { (says: Int64($0) * 3_600, after: 0, isTrusted: true) })
    }

    @Test("A jump is believed when it has stood for an hour, and not a second before")
    func probation() {
        check([
            (60, 60, true), (1_000_060, 60, false), (1_000_660, 660, false), (1_003_659, 3_659, false),
            (1_003_660, 3_660, true), (1_003_720, 3_720, true),
        ])
    }

    @Test("A clock that jumps and comes back was right all the while")
    func back() {
        check([
            (60, 60, true), (1_000_120, 120, false), (180, 180, true), (1_004_000, 4_000, false), (7_600, 7_600, true),
        ])
    }

    @Test("A second jump begins the hour anew, backwards as forwards")
    func secondJump() {
        check([
            (1_000_000, 0, false), (2_003_000, 3_000, false), (2_005_000, 5_000, false), (-996_400, 3_600, false),
            (-992_800, 7_200, true),
        ])
    }
}
