import Foundation

/// Starts servers, each in a fresh folder, on the processor that is theirs.
final class Launcher {
    /// The processors of server and client, or nil when both may use all.
    private(set) var pinned: (server: Int, client: Int)?
    /// How many processors there are for both.
    var processors: Int { allowed.count }
    private let allowed: [Int]
    /// The folder under which everything is written; removed at the end.
    let root: URL
    private var count = 0

    init(root: URL, pin: Bool?) throws {
        allowed = Processors.allowed()
        pinned = pin != false && allowed.count >= 2 ? (allowed[0], allowed[1]) : nil
        Self.removeLeftovers(in: root)
        self.root = root.appendingPathComponent("\(Self.prefix)\(getpid())")
        try FileManager.default.createDirectory(at: self.root, withIntermediateDirectories: true)
        if let pinned { try Processors.bind(to: [pinned.client]) }
    }

    /// Lets servers that `body` starts, and the client meanwhile, use all processors.
    func sharing(_ body: () throws -> Void) throws {
        guard let places = pinned else { return try body() }
        pinned = nil
        defer {
            pinned = places
            try? Processors.bind(to: [places.client])
        }
        try Processors.bind(to: allowed)
        try body()
    }

    private static let prefix = "tipwire-bench-"

    /// Folders of runs that were interrupted: their process is gone.
    private static func removeLeftovers(in root: URL) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        for name in names where name.hasPrefix(prefix) {
            guard let process = pid_t(name.dropFirst(prefix.count)), kill(process, 0) != 0, errno == ESRCH else {
                continue
            }
            try? FileManager.default.removeItem(at: root.appendingPathComponent(name))
        }
    }

    func cleanUp() { try? FileManager.default.removeItem(at: root) }

    /// A folder that nothing else uses.
    func folder() throws -> URL {
        count += 1
        let folder = root.appendingPathComponent("\(count)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        return folder
    }

    /// Starts a program. It is born on its processor, so that each of its threads is, too: we move there, start it and
    /// move back.
    func spawn(_ arguments: [String], environment: [String: String] = [:], errors: URL) throws -> ChildProcess {
        if let pinned { try Processors.bind(to: [pinned.server]) }
        defer { if let pinned { try? Processors.bind(to: [pinned.client]) } }
        return try ChildProcess(arguments, environment: environment, errors: errors.path)
    }

    /// Waits until a port takes connections.
    func waitForPort(_ port: UInt16, seconds: Double = 10) throws {
        let deadline = nanoseconds() + Int64(seconds * 1e9)
        while true {
            if (try? HTTPConnection(port: port)) != nil { return }
            guard nanoseconds() < deadline else { throw BenchError("nothing listens on port \(port)") }
            usleep(10_000)
        }
    }

    /// The program of that name in PATH or beside the usual ones, if there is one.
    static func program(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/bin"]
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
