import ArgumentParser
import Foundation

/// The whole benchmark, or the part that was asked for.
struct RunCommand: ParsableCommand {
    enum Suite: String, CaseIterable, ExpressibleByArgument { case intake, fanout, eventsub, webhooks, pending }
    enum Peer: String, CaseIterable, ExpressibleByArgument { case floor, nchan, websockets, disk, sqlite, all, none }

    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs the series and prints tables; exits 1 if a server did something wrong.")

    @Option(help: "The server to measure.") var binary = ".build/release/tipwire"
    @Option(
        help: """
            Only this suite; may be given several times (default: all). eventsub is the part of fanout that compares \
            EventSub with the feed, without peers; webhooks are those that are delivered, pending those that wait.
            """)
    var only: [Suite] = []
    @Option(
        help: """
            A peer to compare with; may be given several times (default: floor, nchan, disk, sqlite). floor, nchan and \
            websockets take part in the fan-out, disk and sqlite in the intake.
            """)
    var peer: [Peer] = [.floor, .nchan, .disk, .sqlite]
    @Option(help: "Rounds; medians with least and greatest are told (default: 3, with --quick 1).") var rounds: Int?
    @Option(
        help: """
            Numbers of sockets, with commas (default: 100,1000,10000 WebSockets, and 1000,10000 of the other forms; \
            with --quick none of 10000).
            """)
    var sockets: String?
    @Option(help: "Only this form of fan-out: websocket, eventsub or sse; may be given several times (default: all).")
    var form: [StreamForm] = []
    @Flag(help: "A short run that shows that all works; its figures are rough.") var quick = false
    @Flag(
        inversion: .prefixedNo,
        help: "Server on one processor, client on another (default: yes where there are two).")
    var pin: Bool?
    @Flag(help: "Leaves Tipwire out: how do the peers do on this machine?") var peersOnly = false
    @Option(help: "A further option of `tipwire serve`, as --serve-option=--name=value; may be given several times.")
    var serveOption: [String] = []
    @Option(help: "Where logs and databases go, on the disk that is to be measured (default: .build, else TMPDIR).")
    var scratch: String?
    @Option(help: "Writes every measurement to this file.") var json: String?

    func validate() throws {
        if let rounds, rounds < 1 { throw ValidationError("--rounds must be 1 or more") }
        _ = try socketCounts(.webSocket)
    }

    func run() throws {
        ChildProcess.endWithUs()
        let limit = Processors.raiseDescriptorLimit()
        let launcher = try Launcher(root: scratchFolder(), pin: pin)
        defer { launcher.cleanUp() }
        var report = Report()
        if peersOnly { report.subject = nil }
        describe(launcher, limit, &report)
        let tipwire = peersOnly ? nil : Tipwire(binary: binary, options: serveOption)
        if let obstacle = tipwire?.obstacle { throw ValidationError(obstacle) }
        if runs(.intake) {
            let peers = [IntakePeer.disk, .sqlite].filter { wants($0.rawValue, $0.obstacle, &report) }
            IntakeSeries(
                tipwire: tipwire, peers: peers, rounds: roundCount, seconds: quick ? 0.4 : 1.2,
                chainedTips: quick ? 100 : 500
            ).run(launcher, into: &report)
        }
        if runs(.fanout) || runs(.eventsub) {
            let peers: [any Contender] = runs(.fanout) ? [Floor(), Nchan(), PythonWebSockets()] : []
            let contenders = [tipwire].compactMap { $0 } + peers.filter { wants($0.name, $0.obstacle, &report) }
            let loads = try loads(limit, &report)
            FanoutSeries(contenders: contenders, loads: loads, rounds: roundCount).run(launcher, into: &report)
        }
        if let tipwire {
            WebhookSeries(
                tipwire: tipwire, deliveries: runs(.webhooks) ? WebhookLoad(tips: quick ? 60 : 500) : nil,
                pending: runs(.pending) ? .usual(isShort: quick) : nil, rounds: roundCount
            ).run(launcher, into: &report)
        }
        report.printTables()
        if let json { try report.writeJSON(to: json) }
        if report.hasFaults { throw ExitCode.failure }
    }

    private func runs(_ suite: Suite) -> Bool { only.isEmpty || only.contains(suite) }

    private var roundCount: Int { rounds ?? (quick ? 1 : 3) }

    /// Whether a peer was asked for and can run; says so if it can't.
    private func wants(_ name: String, _ obstacle: @autoclosure () -> String?, _ report: inout Report) -> Bool {
        guard peer.contains(.all) || peer.contains(where: { $0.rawValue == name }) else { return false }
        guard let obstacle = obstacle() else { return true }
        report.progress("\(name) is left out: \(obstacle)")
        report.note("\(name) was left out: \(obstacle)")
        return false
    }

    private func socketCounts(_ form: StreamForm) throws -> [Int] {
        let usual = (form == .webSocket && runs(.fanout) ? "100,1000" : "1000") + (quick ? "" : ",10000")
        return try (sockets ?? usual).split(separator: ",").map { word in
            guard let count = Int(word), (1...100_000).contains(count) else {
                throw ValidationError("--sockets: '\(word)' is no number from 1 to 100000")
            }
            return count
        }
    }

    /// Those that were asked for. EventSub's figures are told as ratios to the feed's, which is therefore measured, too.
    private var forms: [StreamForm] {
        guard form.isEmpty else { return StreamForm.allCases.filter(form.contains) }
        return runs(.fanout) ? StreamForm.allCases : [.webSocket, .eventSub]
    }

    /// The loads that the descriptor limit has room for: by size, and of one size in the order of the forms, so that
    /// what is compared is measured one right after the other.
    private func loads(_ limit: Int, _ report: inout Report) throws -> [FanoutLoad] {
        var loads: [FanoutLoad] = []
        for form in forms {
            for count in try socketCounts(form) {
                let load = FanoutLoad.usual(form, sockets: count, share: quick ? 0.25 : 1)
                // Beside the sockets: the publishers, standard streams, and a server's own files.
                if count + 200 <= limit {
                    loads.append(load)
                } else {
                    report.note("\(load.label) were left out: the descriptor limit is \(limit)")
                }
            }
        }
        return Set(loads.map(\.sockets)).sorted().flatMap { size in loads.filter { $0.sockets == size } }
    }

    private func scratchFolder() -> URL {
        if let scratch { return URL(fileURLWithPath: scratch) }
        let build = URL(fileURLWithPath: ".build")
        return FileManager.default.fileExists(atPath: build.path) ? build : FileManager.default.temporaryDirectory
    }

    private func describe(_ launcher: Launcher, _ limit: Int, _ report: inout Report) {
        let processors = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let model = processors.first { $0.hasPrefix("model name") }?.split(separator: ":").last
        let kernel = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? ""
        report.fact(
            "machine",
            "\(launcher.processors) processors,\(model ?? " unknown"), Linux "
                + kernel.trimmingCharacters(in: .whitespacesAndNewlines))
        report.fact(
            "placement",
            launcher.pinned.map { "server on processor \($0.server), client on processor \($0.client)" }
                ?? "not pinned: server and client share the processors")
        report.fact("rounds", "\(roundCount), servers in turns; median (least–greatest); ratios within a round")
        report.fact("descriptors", "\(limit)")
        if quick { report.note("a quick run: far too short for figures to be quoted") }
        let load = ((try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? "").split(separator: " ").first
        report.fact("load before", "\(load ?? "?")")
    }
}
