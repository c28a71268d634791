import Foundation
import TipwireCore
import TipwireHub

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

    let configuration: ServerConfiguration
    let clock: WallClock

    public init(_ configuration: ServerConfiguration, clock: WallClock = .system) {
        self.configuration = configuration
        self.clock = clock
    }

    public func examine() async -> [Finding] {
        let stored = if let url = configuration.database { await postgres(url) } else { file() }
        var findings = settings() + stored.findings
        // Without what it serves from, its ports say nothing.
        guard let presence = stored.presence else { return findings }
        for port in configuration.ports { findings.append(await self.port(port, presence)) }
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
}
