import ArgumentParser
import Foundation
import Logging
import TipwireServer

/// `tipwire serve`: starts the server.
///
/// Its options are the settings, of which there is one table (`Setting`) for options, environment and file alike; so
/// they are handed on unparsed instead of being declared a second time here.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Start the server.", discussion: "See 'tipwire serve --help'.")

    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp(visibility: .private))
    var settings: [String] = []

    func run() async throws {
        if settings.contains("--help") || settings.contains("-h") {
            // The second is for the documentation, which is made of the same table.
            print(
                settings.contains("--markdown") ? Setting.table : TipwireServer.ServerConfiguration.help, terminator: ""
            )
            return
        }
        do {
            let invocation = try TipwireServer.ServerConfiguration.read(
                arguments: settings, environment: ProcessInfo.processInfo.environment)
            try invocation.configuration.checkFiles()
            if invocation.isCheck {
                for warning in invocation.warnings { TextOutput.notes.note("warning: \(VisibleText(warning))") }
                print("The settings are good.")
                return
            }
            let configuration = invocation.configuration
            let logger = StandardErrorLogHandler.makeLogger(
                label: "tipwire", level: configuration.log.level, format: configuration.log.format)
            for warning in invocation.warnings { logger.warning("\(warning)") }
            let program = CommandLine.arguments.first ?? "tipwire"
            MemoryArenas.fit()
            EventLoopCount.fit()
            try await Server(configuration, isDemo: invocation.isDemo, program: program, logger: logger).run()
        } catch let error as ExitCode {
            throw error
        } catch {
            // One line, whatever it was: the person who started the server reads it first.
            FileHandle.standardError.write(Data("tipwire: \(Redaction.redacted("\(error)"))\n".utf8))
            throw ExitCode.failure
        }
    }
}
