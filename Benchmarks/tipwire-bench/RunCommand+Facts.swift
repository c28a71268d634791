import Foundation

/// What stands above the tables.
extension RunCommand {
    /// What has to be known of the machine and of what is measured, for figures to mean something.
    func describe(_ launcher: Launcher, _ limit: Int, _ report: inout Report) {
        let processors = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let model = processors.first { $0.hasPrefix("model name") }?.split(separator: ":").last
        let kernel = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? ""
        report.fact(
            "machine",
            "\(launcher.processors) processors,\(model ?? " unknown"), Linux "
                + kernel.trimmingCharacters(in: .whitespacesAndNewlines))
        report.fact(
            "placement",
            launcher.pinned.map { "server on processor \($0.server), client on processor \($0.client)" }
                ?? "not pinned: server and client share the processors")
        report.fact("date", Date().formatted(.iso8601.year().month().day()))
        if let commit { report.fact("commit", commit) }
        report.fact("versions", versions)
        report.fact("rounds", "\(roundCount), servers in turns; median (least–greatest); ratios within a round")
        report.fact("descriptors", "\(limit)")
        if quick { report.note("a quick run: far too short for figures to be quoted") }
        let load = ((try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? "").split(separator: " ").first
        report.fact("load before", "\(load ?? "?")")
    }

    /// Of what is measured, as far as it can be asked.
    private var versions: String {
        let tipwire = (try? server).flatMap { answer($0, ["--version"]) }.map { "Tipwire \($0)" }
        let nginx = answer("nginx", ["-v"])?.split(separator: "/").last.map { "nginx \($0)" }
        let nchan = answer("dpkg-query", ["-W", "-f", "${Version}", "libnginx-mod-nchan"]).map { "Nchan \($0)" }
        let packages = ["socketify", "websockets"].map { name in
            interpreter.version(of: name).map { "\(name) \($0)" }
        }
        let swift = compiler.map { "Swift \($0)" }
        return ([tipwire, swift, nginx, nchan] + packages).compactMap { $0 }.joined(separator: ", ")
    }

    /// The commit of the folder that this runs in, and whether files have been changed since; nil where there is no git,
    /// or nothing of it. Files that git doesn't know don't count: they are mostly what a run leaves behind.
    private var commit: String? { answer("git", ["describe", "--always", "--dirty", "--exclude=*"]) }

    /// `6.3.1`, of `Swift version 6.3.1 (swift-6.3.1-RELEASE)`.
    private var compiler: String? {
        answer("swift", ["--version"])?.split(separator: "ersion ").last?.split(separator: " ").first.map(String.init)
    }

    /// The first line that a program prints, if it is there and ends well.
    private func answer(_ program: String, _ arguments: [String]) -> String? {
        guard let path = program.contains("/") ? program : Launcher.program(program) else { return nil }
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = output
        guard (try? process.run()) != nil else { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return text.split(separator: "\n").first.map(String.init)
    }
}
