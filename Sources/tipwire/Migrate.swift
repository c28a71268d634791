import ArgumentParser
import Foundation
import TipwireServer

/// `tipwire migrate`: moves a stopped server's database from its file into PostgreSQL.
///
/// Opens both itself, because no server may run on either meanwhile.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Copy a stopped server's database into PostgreSQL.",
        discussion: """
            Everything is copied, in one transaction, and both sides are compared before it is kept: ids, keys, \
            sessions, cursors and pending deliveries stay good, and clients go on as if nothing had happened. The file \
            is only read. It can be repeated until a server has written to the copy.
            """)

    @Option(
        help: ArgumentHelp(
            "'sqlite:' and the server's data folder, or the path of a tipwire.db.", valueName: "sqlite:path"),
        completion: .directory)
    var from: String

    @Option(
        help: ArgumentHelp(
            "The PostgreSQL database, as 'tipwire serve --database' takes it. [env: TIPWIRE_DATABASE]",
            valueName: "url"))
    var to: String?

    func run() async throws {
        do {
            guard let target = to ?? ProcessInfo.processInfo.environment["TIPWIRE_DATABASE"], !target.isEmpty else {
                throw Failure("where to? Name the PostgreSQL database with --to or in TIPWIRE_DATABASE")
            }
            let outcome = try await Migration(from: from, to: target).run()
            if outcome.isRepeated { TextOutput.notes.note("an earlier copy was replaced") }
            if let key = outcome.foreignAdminKey {
                TextOutput.notes.note(
                    "\(VisibleText(key)) holds no key of this database; remove it, and the next start makes another")
            }
            try TextOutput.answers.write(Self.text(outcome))
        } catch let failure as Failure {
            throw failure
        } catch let exit as ExitCode {
            throw exit
        } catch {
            throw Failure(VisibleText(Redaction.redacted("\(error)")).description)
        }
    }

    private static func text(_ outcome: Migration.Outcome) -> String {
        var table = Table([.init(title: "TABLE"), .init(title: "ROWS", alignedRight: true)])
        for copied in outcome.tables where copied.rows > 0 {
            table.add([VisibleText(copied.name), VisibleText("\(copied.rows)")])
        }
        return table.text
            + "both sides agree; start the server with --database from now on, and --data "
            + "\(VisibleText(outcome.dataFolder)) for its keys\n"
    }
}
