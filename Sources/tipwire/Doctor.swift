import ArgumentParser
import Foundation
import TipwireServer

/// `tipwire doctor`: looks at the settings and the data of a server, running or not.
///
/// The one verb beside `serve` that opens the data folder itself: what it checks is what the server can't be asked for.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check a server's settings, database and goals.",
        discussion: """
            Takes the settings of 'tipwire serve', as options, in the environment or in a file; --data names the folder. \
            Reads everything once and writes nothing, also while the server runs. Exit status 1 when something is wrong.
            """)

    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp(visibility: .private))
    var settings: [String] = []

    func run() async throws {
        if settings.contains("--help") || settings.contains("-h") {
            try TextOutput.answers.write(Self.helpMessage() + "\n")
            return
        }
        let invocation: ServeInvocation
        do {
            invocation = try TipwireServer.ServerConfiguration.read(
                arguments: settings, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw Failure("settings: \(VisibleText("\(error)"))")
        }
        let findings = Doctor(invocation.configuration).examine()
        for finding in findings {
            try TextOutput.answers.line("\(finding.verdict.rawValue)  \(VisibleText(finding.text))")
        }
        let problems = findings.count { $0.verdict == .problem }
        if problems > 0 { throw Failure(problems == 1 ? "one thing is wrong" : "\(problems) things are wrong") }
    }
}
