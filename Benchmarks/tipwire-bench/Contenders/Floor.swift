import Foundation

/// The least a server can do: this tool's own epoll and send() loop, as a process of its own.
///
/// It has no log, no keys, no limits and no patience with odd clients. What it costs is what the kernel costs, and no
/// server that sends each message by itself can be cheaper.
struct Floor: Contender {
    let name = "floor"
    var obstacle: String? { nil }

    func start(_ launcher: Launcher) throws -> RunningServer {
        let errors = try launcher.folder().appendingPathComponent("stderr")
        let process = try launcher.spawn(
            [try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"), "floor-server"],
            errors: errors)
        guard let port = UInt16(try process.line(startingWith: "port ", within: 10)) else {
            throw BenchError("floor: no port")
        }
        let endpoint = Endpoint(
            publishPort: port, subscribePort: port, subscribePath: "/",
            request: { HTTPText.request("POST", "/", body: EventMessage.notification(sequence: $0)) },
            numbersItself: false)
        return RunningServer(process: process, endpoint: endpoint)
    }
}
