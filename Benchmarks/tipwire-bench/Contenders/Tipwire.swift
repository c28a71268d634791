import Foundation

/// The server of this repository, started as anybody would start it.
struct Tipwire: Contender {
    var name = "tipwire"
    let forms = Set(StreamForm.allCases)
    var binary: String
    /// Further options of `tipwire serve`.
    var options: [String] = []

    var obstacle: String? {
        FileManager.default.isExecutableFile(atPath: binary)
            ? nil : "no program at \(binary): `make bench` builds one beside this tool, and --binary names another"
    }

    func start(_ launcher: Launcher, giving form: StreamForm) throws -> RunningServer {
        let (process, api) = try serve(
            launcher, options: Self.silence + (form == .eventSub ? Self.manySubscriptions : []))
        let slug = EventMessage.slug
        let endpoint = Endpoint(
            publishPort: api.port, subscribePort: api.port, subscribePaths: { try Self.paths(form, $0, api) },
            request: {
                HTTPText.request(
                    "POST", "/api/v1/pages/\(slug)/tips", key: api.key, body: EventMessage.tip($0, for: form))
            },
            numbering: form == .eventStream ? .poster(log: { try Self.tipOrder(api) }) : .server)
        return RunningServer(process: process, endpoint: endpoint)
    }

    /// The same server with io_uring forbidden, as in many containers.
    var withoutRing: Tipwire {
        var copy = self
        copy.name = "tipwire-calls"
        copy.options.append("--feed-io-uring=never")
        return copy
    }

    /// No pings and comments, as the peers send none: they would fall into one server's turn or another's.
    private static let silence = [
        "--feed-idle-seconds=86400", "--feed-probe-seconds=86000", "--sse-keepalive-seconds=3600",
    ]

    /// Limits that are there for strangers' sake.
    static let manySubscriptions = [
        "--eventsub-max-per-key=1000000", "--eventsub-max-per-page=1000000",
        "--eventsub-max-creations-per-minute=1000000",
    ]

    /// Webhooks to this machine, which a server refuses unless it is told otherwise.
    static let localWebhooks =
        manySubscriptions + ["--webhooks-allow-http=true", "--webhooks-allowed-networks=127.0.0.0/8"]

    private static func paths(_ form: StreamForm, _ sockets: Int, _ api: TipwireAPI) throws -> [String] {
        let slug = EventMessage.slug
        switch form {
        case .webSocket: return Array(repeating: api.feed(of: slug), count: sockets)
        case .eventSub: return try api.subscribe(sockets: sockets, to: slug).map { "/?connection_id=\($0)" }
        case .eventStream:
            return Array(repeating: "/api/tip-events/stream?token=\(api.key)&page=\(slug)", count: sockets)
        }
    }

    /// The numbers of the tips as the log has them.
    private static func tipOrder(_ api: TipwireAPI) throws -> [Int64] {
        var order: [Int64] = []
        var log = LogReader(api, slug: EventMessage.slug)
        let mark = Array(#""id":"\#(EventMessage.idPrefix)"#.utf8)
        try log.readOn { order += LogReader.values(after: mark, in: $0).compactMap { Int64($0) } }
        return order
    }

    /// Starts it with nothing in it and makes the page; also for the series that ask for more.
    func serve(
        _ launcher: Launcher, options further: [String] = []
    ) throws -> (process: ChildProcess, api: TipwireAPI) {
        let server = try launch(launcher, in: launcher.folder(), options: further)
        try server.api.makePage(EventMessage.slug)
        return server
    }

    /// Starts it on a folder, which holds what an earlier one may have left there; returns when it listens.
    func launch(
        _ launcher: Launcher, in folder: URL, options further: [String] = []
    ) throws -> (process: ChildProcess, api: TipwireAPI) {
        let data = folder.appendingPathComponent("data").path
        let errors = folder.appendingPathComponent("errors")
        let process = try launcher.spawn(
            [binary, "serve", "--port", "0", "--data", data] + further + options, errors: errors)
        do {
            let address = try process.line(startingWith: "Tipwire is listening on http://", within: 30)
            guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
                throw BenchError("no port in '\(address)'")
            }
            let key = try String(contentsOfFile: data + "/admin.key", encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            return (process, TipwireAPI(port: port, key: key))
        } catch {
            process.stop()
            let text = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
            throw BenchError("tipwire: \(error)\n" + text.suffix(600))
        }
    }
}
