import Foundation
import TipwireCore
import TipwireHub
import TipwireStore

/// Examines what a server would start with, or runs on: `tipwire doctor`.
///
/// Reads only, and beside a running server.
public struct Doctor {
    /// One thing that was looked at.
    public struct Finding: Sendable, Equatable {
        public enum Verdict: String, Sendable {
            case good = "ok"
            /// Works, but should be known.
            case warning
            /// Wrong: the server won't start, or what it holds is not what it should be.
            case problem
        }

        public let verdict: Verdict
        public let text: String

        public init(verdict: Verdict, text: String) {
            self.verdict = verdict
            self.text = text
        }
    }

    /// How far the log may be ahead of the clock: more than clocks are corrected by.
    private static let clockToleranceMilliseconds: Int64 = 60_000

    let configuration: ServerConfiguration
    private let clock: WallClock

    public init(_ configuration: ServerConfiguration, clock: WallClock = .system) {
        self.configuration = configuration
        self.clock = clock
    }

    public func examine() async -> [Finding] {
        var findings = settings()
        let folder = configuration.dataFolder
        let file = "\(folder)/tipwire.db"
        guard access(file, R_OK) == 0 else {
            let text =
                errno == EACCES
                ? "database: \(file) may not be read by this user; run the doctor as the server's"
                : "database: there is none in \(folder); name the server's folder with --data"
            return findings + [Finding(verdict: .problem, text: text)]
        }
        let isRunning = DataFolder.isInUse(folder)
        findings.append(
            Finding(
                verdict: .good, text: isRunning ? "server: running on \(folder)" : "server: not running on \(folder)"))
        findings += privacy(of: folder)
        findings += database(in: folder)
        findings += disk(of: folder)
        findings += await ports(isRunning: isRunning)
        if let warning = DescriptorLimit.fit(
            maxConnections: configuration.feed.maxConnections, maxAttempts: configuration.webhooks.maxAttempts
        ).warning {
            findings.append(Finding(verdict: .warning, text: "descriptors: \(warning)"))
        }
        return findings
    }

    private func settings() -> [Finding] {
        do {
            try configuration.checkFiles()
        } catch {
            return [Finding(verdict: .problem, text: "settings: \(error)")]
        }
        return [Finding(verdict: .good, text: "settings: can be used")] + certificate()
    }

    /// Keys and tips are the operator's alone.
    private func privacy(of folder: String) -> [Finding] {
        // A group may be for the certificate's readers; Debian has one.
        let secrets =
            ["tipwire.db", "admin.key", "demo.key"].map { ("\(folder)/\($0)", 0o077) }
            + [configuration.tls.key].compactMap { $0 }.map { ($0, 0o007) }
        let missing =
            FileManager.default.fileExists(atPath: "\(folder)/admin.key")
            ? []
            : [
                Finding(
                    verdict: .warning, text: "keys: there is no \(folder)/admin.key; the next start makes a new key")
            ]
        return missing
            + secrets.compactMap { file, others in
                let attributes = try? FileManager.default.attributesOfItem(atPath: file)
                guard let mode = attributes?[.posixPermissions] as? Int, mode & others != 0 else { return nil }
                return Finding(verdict: .warning, text: "permissions: \(file) can be read by others; chmod 600 it")
            }
    }

    private func database(in folder: String) -> [Finding] {
        let audit: StoreAudit
        do {
            audit = try SQLiteStore.audit(at: "\(folder)/tipwire.db")
        } catch {
            return [Finding(verdict: .problem, text: "database: \(error)")]
        }
        var findings = audit.problems.map { Finding(verdict: .problem, text: "database: \($0)") }
        if findings.isEmpty {
            findings = [
                Finding(
                    verdict: .good,
                    text: "database: sound (events: \(audit.events), pages: \(audit.pages))"),
                Finding(
                    verdict: .good, text: "goals: the log leads to all \(audit.goals) of them, to the cent"),
            ]
        }
        if let last = audit.lastCommit, last > clock.now().advanced(milliseconds: Self.clockToleranceMilliseconds) {
            findings.append(
                Finding(
                    verdict: .problem,
                    text: "clock: it says \(clock.now()), and the log's last event is of \(last); set the clock"))
        }
        return findings
    }
}
