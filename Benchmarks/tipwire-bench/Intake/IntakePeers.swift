import Foundation
import Glibc

/// What the same durability costs without a server: two peers of the intake, each one process writing to the same disk.
enum IntakePeer: String {
    /// The bytes of the tips appended to a file, `fdatasync` after each request's worth: nothing durable is faster.
    case disk
    /// Python's sqlite3 with WAL and `synchronous=FULL`: a row per tip, a commit per request's worth. What a script
    /// that keeps tips would do, with no HTTP in front of it.
    case sqlite

    var obstacle: String? {
        guard self == .sqlite else { return nil }
        return Launcher.program("python3") == nil ? "no python3 (apt-get install -y python3)" : nil
    }

    /// Durable tips a second, so many in each commit.
    func tipsPerSecond(batch: Int, seconds: Double, _ launcher: Launcher) throws -> Double {
        let folder = try launcher.folder()
        switch self {
        case .disk: return try appending(batch, seconds, folder)
        case .sqlite: return try committing(batch, seconds, folder, launcher)
        }
    }

    private func appending(_ batch: Int, _ seconds: Double, _ folder: URL) throws -> Double {
        let descriptor = open(folder.appendingPathComponent("log").path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchError.call("open") }
        defer { close(descriptor) }
        let bytes = Array(String(repeating: EventMessage.tip, count: batch).utf8)
        let start = nanoseconds()
        var tips = 0
        while nanoseconds() - start < Int64(seconds * 1e9) {
            guard write(descriptor, bytes, bytes.count) == bytes.count, fdatasync(descriptor) == 0 else {
                throw BenchError.call("fdatasync")
            }
            tips += batch
        }
        return Double(tips) / tipwire_bench.seconds(nanoseconds() - start)
    }

    private func committing(
        _ batch: Int, _ seconds: Double, _ folder: URL, _ launcher: Launcher
    ) throws -> Double {
        let file = folder.appendingPathComponent("tips.sqlite").path
        let process = try launcher.spawn(
            ["python3", "-c", Self.script, file, "\(batch)", "\(seconds)", EventMessage.tip],
            errors: folder.appendingPathComponent("stderr"))
        defer { process.stop() }
        guard let rate = Double(try process.line(startingWith: "rate ", within: seconds + 20)) else {
            throw BenchError("sqlite: no rate")
        }
        return rate
    }

    private static let script = """
        import sqlite3, sys, time
        file, batch, seconds, tip = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
        database = sqlite3.connect(file, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE event (sequence INTEGER PRIMARY KEY, tip TEXT NOT NULL UNIQUE, data TEXT NOT NULL)")
        start, tips = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            database.execute("BEGIN IMMEDIATE")
            rows = [(f"tip{tips + index}", tip) for index in range(batch)]
            database.executemany("INSERT INTO event (tip, data) VALUES (?, ?)", rows)
            database.execute("COMMIT")
            tips += batch
        print("rate", tips / (time.monotonic() - start), flush=True)
        """
}
