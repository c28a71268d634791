import ArgumentParser
import Foundation
import TipwireServer

/// `tipwire doctor`: looks at the settings and the data of a server, running or not, and at the way to it.
///
/// Beside `serve` and `restore` the one verb that opens the data folder itself: what it checks is what the server can't be
/// asked for.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check a server's settings, database, goals and ports, and the way to it.",
        usage: "tipwire doctor [the settings of 'tipwire serve'] [--url <url>] [--key-file <path>]",
        discussion: """
            Takes the settings of 'tipwire serve' too, as options, in the environment or in a file; --data names the \
            folder. Reads everything once and writes nothing, also while the server runs. With --url it also looks at the \
            running server from outside, as its clients see it, through whatever proxies are between. Exit status 1 when \
            something is wrong.
            """)

    @Option(
        help: ArgumentHelp(
            "Address that clients reach the server by: is it reached, and do streams come through?", valueName: "url"))
    var url: String?

    @Option(
        help: ArgumentHelp(
            "File with the API key to open streams with. [env: TIPWIRE_KEY_FILE; default: admin.key in the folder]",
            valueName: "path"))
    var keyFile: String?

    @Argument(parsing: .allUnrecognized, help: ArgumentHelp(visibility: .private))
    var settings: [String] = []

    func validate() throws {
        guard let url, ServerAddress(url) == nil else { return }
        throw ValidationError("--url \(ServerAddress.rule), not '\(VisibleText(url))'")
    }

    func run() async throws {
        let invocation: ServeInvocation
        do {
            invocation = try TipwireServer.ServerConfiguration.read(
                arguments: settings, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw Failure("settings: \(VisibleText("\(error)"))")
        }
        var problems = 0
        func show(_ findings: [Doctor.Finding]) throws {
            for finding in findings {
                if finding.verdict == .problem { problems += 1 }
                try TextOutput.answers.line("\(finding.verdict.rawValue)  \(VisibleText(finding.text))")
            }
        }
        try show(await Doctor(invocation.configuration).examine())
        if let address = url.flatMap({ ServerAddress($0) }) {
            let outside = OutsideView(address: address, configuration: invocation.configuration)
            try show(try await outside.examine(keyFile: keyFile))
        } else if keyFile != nil {
            TextOutput.notes.note("--key-file is for --url, and was not used")
        }
        if problems > 0 { throw Failure(problems == 1 ? "one thing is wrong" : "\(problems) things are wrong") }
    }
}
