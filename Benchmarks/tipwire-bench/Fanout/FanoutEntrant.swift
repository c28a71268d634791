/// A server that takes turns with others, and what it came to. What goes wrong with it ends its part and nobody else's.
final class FanoutEntrant {
    private let contender: any Contender
    private let load: FanoutLoad
    private(set) var sample: Sample
    private var server: RunningServer?
    private var run: FanoutRun?

    init(_ contender: any Contender, _ load: FanoutLoad, round: Int) {
        self.contender = contender
        self.load = load
        sample = Sample(
            suite: load.form.suite, setting: load.sockets, label: load.label, server: contender.name, round: round)
    }

    var title: String { "\(contender.name), \(load.label)" }

    func start(_ launcher: Launcher) {
        do {
            let server = try contender.start(launcher, giving: load.form)
            self.server = server
            defer { server.process.pause() }
            run = try FanoutRun(load, server: server)
        } catch {
            fail(error)
        }
    }

    /// Does something with it, and has it stand still again.
    func take(_ turn: (FanoutRun) throws -> Void) {
        guard let run, let server else { return }
        server.process.resume()
        defer { server.process.pause() }
        do { try turn(run) } catch { fail(error) }
    }

    /// Its last turn; the server is stopped.
    func end(_ report: inout Report) {
        take { sample.values = try $0.finish() }
        if let wait = sample.values[.pacedP99], wait > 1_000 / load.pacedRate {
            report.note(
                "\(title): a fan-out lasts longer than the time between two events at 10 a second here, so the latency is "
                    + "mostly waiting for the one before")
        }
        // Closes the sockets, so that the server has nothing left to drain.
        run = nil
        if let server, !server.process.stop() { report.note("\(contender.name) had to be killed at the end of a run") }
        server = nil
    }

    private func fail(_ error: any Error) {
        sample.fault = "\(error)"
        run = nil
    }
}
