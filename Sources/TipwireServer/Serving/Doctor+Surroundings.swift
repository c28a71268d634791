import Foundation
import NIOCore

/// What the server stands on and behind: its certificate, its disk and its ports.
extension Doctor {
    /// Bytes free on the disk below which it is as good as full.
    private static let leastFreeBytes = 64 * 1_048_576
    /// Bytes of the write-ahead log from which somebody must be holding it: SQLite begins it anew long before.
    private static let largeWALBytes = 256 * 1_048_576

    /// Of files that could be read.
    func certificate(now: Date = Date()) -> [Finding] {
        guard let files = configuration.tls.files,
            let certificate = try? ServerCertificate(certificate: files.certificate, key: files.key)
        else { return [] }
        let end = certificate.expiresAt.formatted(.iso8601)
        let days = certificate.expiresAt.timeIntervalSince(now) / 86_400
        let finding =
            if days < 0 {
                Finding(verdict: .problem, text: "certificate: it ended at \(end), and clients refuse it; renew it")
            } else if days < Double(ServerCertificate.warningDays) {
                Finding(verdict: .warning, text: "certificate: it ends at \(end); renew it")
            } else {
                Finding(verdict: .good, text: "certificate: good until \(end)")
            }
        return [finding]
    }

    /// - Parameter free: bytes that may still be written; nil where the system doesn't say.
    func disk(of folder: String, free: (String) -> Int? = ProcessReading.freeBytes) -> [Finding] {
        var findings: [Finding] = []
        let held = ProcessReading.fileBytes("\(folder)/tipwire.db") ?? 0
        let growth = max(0, configuration.retention.bytes - held)
        if let free = free(folder) {
            let size = Self.size(free)
            if free < Self.leastFreeBytes {
                findings.append(
                    Finding(
                        verdict: .problem,
                        text: "disk: \(size) are free for \(folder); make room, or tips will soon be refused"))
            } else if free < growth {
                findings.append(
                    Finding(
                        verdict: .warning,
                        text: "disk: \(size) are free for \(folder), and the log may grow by another "
                            + "\(Self.size(growth)); make room, or lower retention.bytes"))
            } else {
                findings.append(
                    Finding(verdict: .good, text: "disk: \(size) are free, and the log has room to grow to its limit"))
            }
        }
        if let waiting = ProcessReading.fileBytes("\(folder)/tipwire.db-wal"), waiting > Self.largeWALBytes {
            findings.append(
                Finding(
                    verdict: .warning,
                    text: "disk: \(Self.size(waiting)) in tipwire.db-wal wait to be taken into the database; a program "
                        + "that reads tipwire.db for long keeps it so"))
        }
        return findings
    }

    /// A port that this configuration listens on: the server's own while it runs, and free while it doesn't.
    func port(_ port: ListeningPort, _ presence: Presence) async -> Finding {
        if case .running(let holder?) = presence, holder.port != nil { return self.port(port, by: holder) }
        let host = configuration.host
        do {
            try await port.probe(host: host)
        } catch {
            let isTaken = (error as? IOError)?.errnoCode == EADDRINUSE
            switch presence {
            case .running(_?) where isTaken:
                return Finding(
                    verdict: .good, text: "port: \(port.number) is taken, as it must be while the server runs")
            case .running where isTaken:
                return Finding(
                    verdict: .warning,
                    text: "port: \(port.number) is taken, and not by a server in \(configuration.dataFolder): it is "
                        + "another program's, or a server's with another --data")
            default:
                return Finding(verdict: .problem, text: "port: \(StartupError(binding: host, to: port, error))")
            }
        }
        guard case .running = presence else { return Finding(verdict: .good, text: "port: \(port.number) is free") }
        return Finding(
            verdict: .warning,
            text: "port: nobody listens on \(host):\(port.number), so the server runs with other settings than these"
                + (configuration.database == nil ? "" : ", or on another machine")
                + "; \(Self.cure(port))")
    }

    private func port(_ port: ListeningPort, by holder: FolderHolder) -> Finding {
        let held: Int? =
            switch port.kind {
            case .main: holder.port
            case .metrics: holder.metricsPort
            }
        if held == port.number, holder.host == configuration.host {
            return Finding(verdict: .good, text: "port: \(port.number) is the running server's")
        }
        let there = held.map { "listens on \(holder.host ?? ""):\($0)" } ?? "has no port for metrics"
        return Finding(
            verdict: .warning,
            text: "port: the running server \(there), and these settings say \(configuration.host):\(port.number): it "
                + "was started with other settings; \(Self.cure(port))")
    }

    private static func cure(_ port: ListeningPort) -> String {
        "give doctor the server's (--host and \(port.option), or their variables in the environment)"
    }

    private static func size(_ bytes: Int) -> String {
        let mebibytes = bytes / 1_048_576
        return mebibytes < 10_240 ? "\(mebibytes) MiB" : "\(mebibytes / 1_024) GiB"
    }
}
