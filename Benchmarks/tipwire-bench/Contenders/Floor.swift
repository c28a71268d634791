import Foundation
import TipwireSockets

/// The least a server can do: this tool's own epoll and send() loop, as a process of its own.
///
/// It has no log, no keys, no limits and no patience with odd clients. What it costs is what the kernel costs, and no
/// server that sends each message by itself can be cheaper.
struct Floor: Contender {
    /// Whether the sends of an event are made by one system call for many.
    var isRing = false
    var name: String { isRing ? "floor-ring" : "floor" }
    let forms = StreamForm.ofPeers
    var obstacle: String? {
        guard isRing else { return nil }
        let code = SendingWay.ringObstacle()
        return code.map { "io_uring can't be used here (\(String(cString: strerror($0))))" }
    }

    func start(_ launcher: Launcher, giving form: StreamForm) throws -> RunningServer {
        let errors = try launcher.folder().appendingPathComponent("stderr")
        let process = try launcher.spawn(
            [try OwnProgram.path(), "floor-server", "--form", form.rawValue] + (isRing ? ["--ring"] : []),
            errors: errors)
        guard let port = UInt16(try process.line(startingWith: "port ", within: 10)) else {
            throw BenchError("floor: no port")
        }
        let endpoint = Endpoint(
            publishPort: port, subscribePort: port, subscribePaths: { Array(repeating: "/", count: $0) },
            request: { HTTPText.request("POST", "/", body: EventMessage.json($0, as: form)) },
            numbering: .poster(log: nil))
        return RunningServer(process: process, endpoint: endpoint)
    }
}
