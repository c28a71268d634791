import ArgumentParser
import Foundation

/// The whole benchmark, or the part that was asked for.
struct RunCommand: ParsableCommand {
    enum Suite: String, CaseIterable, ExpressibleByArgument {
        case intake, beside, fanout, eventsub, pages, full, idle, heap, webhooks, pending, storm, start
    }
    enum Peer: String, CaseIterable, ExpressibleByArgument {
        case calls = "tipwire-calls"
        case floor
        case floorRing = "floor-ring"
        case nchan, socketify, websockets, disk, sqlite, all, none
    }

    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs the series and prints tables; exits 1 if a server did something wrong.")

    @Option(help: "The server to measure (default: the one that lies beside this tool).") var binary: String?
    @Option(
        help: """
            Only this suite; may be given several times (default: all). beside is intake while others listen; eventsub is the part of fanout that compares \
            EventSub with the feed, without peers; pages is a crowd on many pages, full as \
            many listeners as 20,000 descriptors have room for, idle listeners among such as get nothing, heap many tips at once; webhooks are those that are delivered, pending those that wait; storm \
            is everyone's return, start that of a server with a long log.
            """)
    var only: [Suite] = []
    @Option(
        help: """
            A peer to compare with; may be given several times (default: all). disk and sqlite take part in the \
            intake, the others in the fan-out; tipwire-calls is Tipwire with io_uring forbidden.
            """)
    var peer: [Peer] = [.all]
    @Option(help: "The Python that socketify and websockets run on (default: .venv-bench's if it is there).")
    var python: String?
    @Option(help: "Rounds; medians with least and greatest are told (default: 3, with --quick 1).") var rounds: Int?
    @Option(
        help: """
            Numbers of sockets, with commas (default: 1,100,1000,10000 WebSockets, and 1000,10000 of the other forms; \
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
    @Option(help: "Writes the tables to this file, as Markdown.") var results: String?

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
        let tipwire = peersOnly ? nil : Tipwire(binary: try server, options: serveOption)
        if let obstacle = tipwire?.obstacle { throw ValidationError(obstacle) }
        if runs(.intake) {
            let peers = [IntakePeer.disk, .sqlite].filter { wants($0.rawValue, $0.obstacle, &report) }
            IntakeSeries(
                tipwire: tipwire, peers: peers, rounds: roundCount, seconds: quick ? 0.4 : 1.2,
                chainedTips: quick ? 100 : 500
            ).run(launcher, into: &report)
        }
        if runs(.fanout) || runs(.eventsub) {
            let calls = tipwire.map { [$0.withoutRing as any Contender] } ?? []
            let peers: [any Contender] =
                runs(.fanout)
                ? calls + [
                    Floor(), Floor(isRing: true), Nchan(), Socketify(python: interpreter),
                    PythonWebSockets(python: interpreter),
                ] : []
            let contenders = [tipwire].compactMap { $0 } + peers.filter { wants($0.name, $0.obstacle, &report) }
            let loads = try loads(limit, &report)
            FanoutSeries(
                contenders: contenders, loads: loads, rounds: roundCount, descriptors: limit
            ).run(launcher, into: &report)
        }
        if let tipwire {
            if runs(.beside) {
                BesideSeries(
                    tipwire: tipwire, idle: .usual(isShort: quick), sustained: SustainedLoad.usual(isShort: quick),
                    rounds: roundCount, seconds: quick ? 0.4 : 2
                ).run(launcher, into: &report)
            }
            CrowdSeries(
                tipwire: tipwire, pages: pagesLoads(limit, &report),
                heap: runs(.heap) ? .usual(isShort: quick) : nil, rounds: roundCount
            ).run(launcher, into: &report)
            WebhookSeries(
                tipwire: tipwire, deliveries: runs(.webhooks) ? WebhookLoad(tips: quick ? 60 : 500) : nil,
                pending: runs(.pending) ? .usual(isShort: quick) : nil, rounds: roundCount
            ).run(launcher, into: &report)
            RecoverySeries(
                tipwire: tipwire, storms: runs(.storm) ? StormLoad.usual(isShort: quick) : [],
                start: runs(.start) ? StartRun(events: quick ? 20_000 : 1_000_000, starts: roundCount) : nil,
                rounds: roundCount
            ).run(launcher, into: &report)
        }
        report.printTables()
        if let json { try report.writeJSON(to: json) }
        if let results { try report.writeMarkdown(to: results) }
        if report.hasFaults { throw ExitCode.failure }
    }

    private func runs(_ suite: Suite) -> Bool { only.isEmpty || only.contains(suite) }

    var interpreter: Python {
        let own = ".venv-bench/bin/python3"
        return Python(program: python ?? (FileManager.default.isExecutableFile(atPath: own) ? own : "python3"))
    }

    var roundCount: Int { rounds ?? (quick ? 1 : 3) }

    /// Whether a peer was asked for and can run; says so if it can't.
    private func wants(_ name: String, _ obstacle: @autoclosure () -> String?, _ report: inout Report) -> Bool {
        guard peer.contains(.all) || peer.contains(where: { $0.rawValue == name }) else { return false }
        guard let obstacle = obstacle() else { return true }
        report.progress("\(name) is left out: \(obstacle)")
        report.note("\(name) was left out: \(obstacle)")
        return false
    }

    private func socketCounts(_ form: StreamForm) throws -> [Int] {
        let usual = (form == .webSocket && runs(.fanout) ? "1,100,1000" : "1000") + (quick ? "" : ",10000")
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
                if hasRoom(count, load.label, limit, &report) { loads.append(load) }
            }
        }
        return Set(loads.map(\.sockets)).sorted().flatMap { size in loads.filter { $0.sockets == size } }
    }

    /// Those that were asked for, and what they are compared with.
    private func pagesLoads(_ limit: Int, _ report: inout Report) -> [PagesLoad] {
        var loads: [PagesLoad] = []
        if runs(.pages) || runs(.full) { loads.append(.onePage(isShort: quick)) }
        if runs(.pages) { loads.append(.manyPages(isShort: quick)) }
        if runs(.full) { loads.append(.fullHouse(isShort: quick)) }
        if runs(.idle) { loads += PagesLoad.amongIdle(isShort: quick) }
        return loads.filter { hasRoom($0.descriptors, $0.label, limit, &report) }
    }

    /// Whether the descriptor limit has room for so many sockets, and beside them for the publishers, standard streams,
    /// and what a server keeps for itself and for webhooks; says so if it hasn't.
    private func hasRoom(_ sockets: Int, _ label: String, _ limit: Int, _ report: inout Report) -> Bool {
        if sockets + 1_000 <= limit { return true }
        report.note("\(label) were left out: the descriptor limit is \(limit)")
        return false
    }

    private func scratchFolder() -> URL {
        if let scratch { return URL(fileURLWithPath: scratch) }
        let build = URL(fileURLWithPath: ".build")
        return FileManager.default.fileExists(atPath: build.path) ? build : FileManager.default.temporaryDirectory
    }

    var server: String {
        get throws { try binary ?? OwnProgram.sibling("tipwire") }
    }
}
