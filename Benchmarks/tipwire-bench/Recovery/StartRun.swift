import Foundation

/// A log of so many events, and the server that starts on it again.
struct StartRun {
    var events: Int
    var starts: Int

    var label: String { "a log of \(Metric.grouped(Double(events))) events" }

    /// The figures of each start.
    func measure(_ tipwire: Tipwire, _ launcher: Launcher) throws -> [[Metric: Double]] {
        let folder = try launcher.folder()
        let (process, api) = try tipwire.launch(launcher, in: folder)
        try api.makePage(EventMessage.slug)
        try api.post(tips: events, to: EventMessage.slug)
        guard process.stop(patience: 60) else { throw BenchError("the server did not end") }
        return try (0..<starts).map { _ in try start(tipwire, launcher, folder) }
    }

    private func start(_ tipwire: Tipwire, _ launcher: Launcher, _ folder: URL) throws -> [Metric: Double] {
        let begun = nanoseconds()
        let (process, _) = try tipwire.launch(launcher, in: folder)
        let elapsed = seconds(nanoseconds() - begun)
        defer { process.stop() }
        let memory = try ProcessUsage.settledMemory(of: process.identifier) { usleep(100_000) }
        return [.longLogStart: elapsed * 1_000, .longLogMemory: Double(memory)]
    }
}
