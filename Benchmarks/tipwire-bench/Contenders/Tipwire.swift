import Foundation

/// The server of this repository, started as anybody would start it.
struct Tipwire: Contender {
    let name = "tipwire"
    var binary: String
    /// Further options of `tipwire serve`.
    var options: [String] = []

    var obstacle: String? {
        FileManager.default.isExecutableFile(atPath: binary) ? nil : "no program at \(binary) (swift build -c release)"
    }

    func start(_ launcher: Launcher) throws -> RunningServer {
        let (process, port, key) = try serve(launcher)
        let request = HTTPText.request(
            "POST", "/api/v1/pages/\(EventMessage.slug)/tips", key: key, body: Array(EventMessage.tip.utf8))
        let endpoint = Endpoint(
            publishPort: port, subscribePort: port,
            subscribePath: "/?auth=\(key)&channel=activity-feed&room=\(EventMessage.slug)",
            request: { _ in request }, numbersItself: true)
        return RunningServer(process: process, endpoint: endpoint)
    }

    /// Starts it and makes the page; also for the intake series, which needs port and key.
    func serve(_ launcher: Launcher) throws -> (process: ChildProcess, port: UInt16, key: String) {
        let folder = try launcher.folder()
        let data = folder.appendingPathComponent("data").path
        let errors = folder.appendingPathComponent("errors")
        let process = try launcher.spawn(
            [binary, "serve", "--port", "0", "--data", data] + options, errors: errors)
        do {
            let address = try process.line(startingWith: "Tipwire is listening on http://", within: 30)
            guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
                throw BenchError("no port in '\(address)'")
            }
            let key = try String(contentsOfFile: data + "/admin.key", encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let page = #"{"slug":"\#(EventMessage.slug)","title":"\#(EventMessage.title)"}"#
            let answer = try HTTPConnection(port: port).call(
                HTTPText.request("POST", "/api/v1/pages", key: key, body: Array(page.utf8)))
            guard answer.status == 201 else {
                throw BenchError(
                    "making a page was answered \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
            }
            return (process, port, key)
        } catch {
            process.stop()
            let text = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
            throw BenchError("tipwire: \(error)\n" + text.suffix(600))
        }
    }
}
