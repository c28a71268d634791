import ArgumentParser
import Foundation

/// The command `tipwire`: the server, and every verb that talks to one.
///
/// All verbs but `serve`, `restore`, `migrate`, `doctor` and `completion` are clients of the management API and nothing more: what
/// they can do, any program with a key can do. None of them opens the database.
@main
struct Tipwire: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "tipwire",
        abstract: "A live tip event server, and the commands that talk to one.",
        discussion: """
            Start one with 'tipwire serve --demo', then 'tipwire listen' in a second terminal and \
            'tipwire tip demo --amount 5.00 --name Ada' in a third.
            """,
        version: version,
        subcommands: [
            ServeCommand.self, PageCommand.self, AccountCommand.self, KeyCommand.self,
            TipCommand.self, TipsCommand.self, ReplayCommand.self, RefundCommand.self, GoalCommand.self,
            ListenCommand.self, SubscriptionCommand.self, NodesCommand.self, BackupCommand.self, RestoreCommand.self,
            MigrateCommand.self, DoctorCommand.self, CompletionCommand.self,
        ])

    static func main() async {
        if let mistyped = MistypedCommand(in: Array(CommandLine.arguments.dropFirst()), of: Self.self) {
            TextOutput.notes.note(mistyped.text)
            Foundation.exit(ExitCode.validationFailure.rawValue)
        }
        await main(nil)
    }
}
