import ArgumentParser
import Foundation
import TipwireServer

/// `tipwire restore`: puts a backup in the place of a data folder's database.
///
/// Opens the folder itself, because no server may run on it meanwhile.
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Replace a stopped server's database by a backup.",
        discussion: """
            The backup is checked as 'tipwire doctor' checks a database, and only read. The log gets a new epoch, so that \
            clients with a cursor from before are told 'reset'. The old database stays in the folder, as \
            'tipwire.db.before-…'.
            """)

    @Argument(help: "The backup.", completion: .file())
    var file: String

    @Option(
        help: ArgumentHelp("The server's data folder. [env: TIPWIRE_DATA; default: ./tipwire-data]", valueName: "path"),
        completion: .directory)
    var data: String?

    @Option(
        help: ArgumentHelp("The server's file of settings, for its 'data'. [env: TIPWIRE_CONFIG]", valueName: "path"),
        completion: .file())
    var config: String?

    func run() async throws {
        do {
            var arguments: [String] = []
            if let data { arguments += ["--data", data] }
            if let config { arguments += ["--config", config] }
            let invocation = try TipwireServer.ServerConfiguration.read(
                arguments: arguments, environment: ProcessInfo.processInfo.environment)
            let outcome = try await Restoration(dataFolder: invocation.configuration.dataFolder).run(from: file)
            var text =
                "restored \(VisibleText(file)) (events: \(outcome.events), pages: \(outcome.pages), "
                + "goals: \(outcome.goals))\n"
            if let kept = outcome.keptDatabase { text += "the old database is \(VisibleText(kept))\n" }
            if let kept = outcome.keptAdminKey {
                text += "the backup doesn't know the admin key, which is in \(VisibleText(kept)) now; "
                text += "the next start makes another\n"
            }
            try TextOutput.answers.write(text)
        } catch let failure as Failure {
            throw failure
        } catch {
            let lines = "\(error)".split(separator: "\n").map { VisibleText(String($0)).description }
            throw Failure(lines.joined(separator: "\n"))
        }
    }
}
