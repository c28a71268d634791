import Foundation

/// A nats-server of a test's own, on a free port of loopback. It can be killed and started again in the same place.
///
/// `@unchecked`: one test uses it, one step after the other.
final class NATSServer: @unchecked Sendable {
    let port: Int
    private var process: Process?

    init() throws {
        port = try Self.freePort()
        try start()
    }

    /// Returns when it takes connections. Throws when there is no nats-server: a test without one has failed.
    func start() throws {
        guard
            let program = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
                .first(where: FileManager.default.isExecutableFile(atPath:))
        else { throw Failure("nats-server isn't installed; on Debian and Ubuntu: apt-get install nats-server") }
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["-a", "127.0.0.1", "-p", "\(port)"]
        process.standardError = output
        process.standardOutput = output
        try process.run()
        self.process = process
        var text = ""
        while !text.contains("Server is ready") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw Failure(text) }
            text += String(decoding: data, as: UTF8.self)
        }
    }

    func kill() {
        guard let process else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    deinit { kill() }

    private static func freePort() throws -> Int {
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isFree = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        guard isFree else { throw Failure("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    struct Failure: Error {
        let text: String

        init(_ text: String) { self.text = text }
    }
}
