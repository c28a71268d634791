import Foundation
import TipwireCore
import TipwireHub
import TipwirePostgres
import TipwireStore

/// What the server keeps everything in: the file in its data folder, or PostgreSQL.
extension Doctor {
    /// What was found, and whether a server runs on it; nil where there is nothing that one could run on.
    typealias Stored = (findings: [Finding], presence: Presence?)

    /// Whether a server runs.
    enum Presence {
        case absent
        /// By its own word, if it runs in this folder.
        case running(FolderHolder?)
    }

    /// How far the log may be ahead of the clock: more than clocks are corrected by.
    private static let clockToleranceMilliseconds: Int64 = 60_000

    func file() -> Stored {
        let folder = configuration.dataFolder
        let file = "\(folder)/tipwire.db"
        guard access(file, R_OK) == 0 else {
            let text =
                errno == EACCES
                ? "database: \(file) may not be read by this user; run the doctor as the server's"
                : "database: there is none in \(folder); name the server's folder with --data"
            return ([Finding(verdict: .problem, text: text)], nil)
        }
        let holder = DataFolder.holder(of: folder)
        let text =
            holder.map { "server: running on \(folder)\($0.inParentheses)" } ?? "server: not running on \(folder)"
        var findings = [Finding(verdict: .good, text: text)] + privacy(of: folder)
        do {
            findings += self.findings(of: try SQLiteStore.audit(at: file))
        } catch {
            findings.append(Finding(verdict: .problem, text: "database: \(error)"))
        }
        return (findings + disk(of: folder), holder.map { .running($0) } ?? .absent)
    }

    func postgres(_ url: String) async -> Stored {
        let found: PostgresExamination
        do {
            found = try await PostgresStore.examine(url)
        } catch {
            return ([Finding(verdict: .problem, text: "database: \(Redaction.redacted("\(error)"))")], nil)
        }
        let addresses = found.servers.compactMap(\.address).joined(separator: ", ")
        let count = found.servers.count
        let servers =
            (count == 1 ? "server: running on this database" : "server: \(count) are running on this database")
            + (addresses.isEmpty ? "" : ", from \(addresses)")
        var findings = [
            Finding(
                verdict: .good,
                text: found.servers.isEmpty ? "server: not running on this database" : servers),
            Finding(verdict: .good, text: "postgresql: version \(found.version), with this version's tables"),
        ]
        let folder = configuration.dataFolder
        let holder = DataFolder.holder(of: folder)
        if found.servers.isEmpty, let holder {
            let text =
                "folder: \(folder) is in use by another tipwire\(holder.inParentheses), on another database; choose another "
                + "with --data"
            findings.append(Finding(verdict: .problem, text: text))
        }
        findings += privacy(of: folder)
        findings += found.risks.map { Finding(verdict: .warning, text: "commits: \($0)") }
        if found.risks.isEmpty {
            findings.append(
                Finding(
                    verdict: .good,
                    text: "commits: are durable (synchronous_commit is \(found.durability) for Tipwire)"))
        }
        return (findings + self.findings(of: found.audit), found.servers.isEmpty ? .absent : .running(holder))
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

    private func findings(of audit: StoreAudit) -> [Finding] {
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
