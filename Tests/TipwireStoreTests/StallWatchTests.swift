import Foundation
import NIOCore
import Testing

@testable import TipwirePostgres

@Suite struct StallWatchTests {
    /// Two ends of one connection.
    private func pair() throws -> (CInt, CInt) {
        var ends: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        return (ends[0], ends[1])
    }

    /// Whether the connection ends within some seconds.
    private func ends(_ descriptor: CInt, within milliseconds: CInt) -> Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, milliseconds) == 1
    }

    @Test func `a wait past its limit is cut, one within it or over is not`() throws {
        let (stalled, quick, over) = (try pair(), try pair(), try pair())
        defer { for end in [stalled.0, stalled.1, quick.0, quick.1, over.0, over.1] { close(end) } }
        let marks = [
            StallWatch.Mark(limit: .milliseconds(10)), StallWatch.Mark(limit: .seconds(60)),
            StallWatch.Mark(limit: .milliseconds(10)),
        ]
        let watch = StallWatch(marks)
        marks[0].begin(stalled.0)
        marks[1].begin(quick.0)
        marks[2].begin(over.0)
        marks[2].end()
        #expect(ends(stalled.0, within: 10_000))
        #expect(!ends(quick.0, within: 0) && !ends(over.0, within: 0))
        // At the end nobody is waited for that long.
        watch.hasten()
        #expect(ends(quick.0, within: 10_000))
        watch.stop()
    }
}
