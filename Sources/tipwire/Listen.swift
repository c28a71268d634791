import ArgumentParser
import Foundation
import TipwireCore

/// `tipwire listen`: prints tips as they come.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Print tips as they come, and after a broken connection those that were missed.",
        discussion: """
            Tips go to standard output, a line each; what happens to the connection goes to standard error. With \
            --json each line is the message as the feed sends it. Ends with Ctrl-C.
            """)

    @OptionGroup var client: ClientOptions

    @Option(help: "One page; without it every page of the key's account.", transform: CommandArguments.slug)
    var page: Slug?

    @Option(help: "How to listen: feed.")
    var via = "feed"

    @Option(help: "Begin after this cursor instead of now.")
    var since = "now"

    func validate() throws {
        guard via == "feed" else {
            throw ValidationError("--via '\(VisibleText(via))' is not there; this version offers: feed")
        }
        guard !since.isEmpty else { throw ValidationError("--since must be a cursor or now") }
    }

    func run() async throws {
        // Every line is written when it is printed, so there is nothing to flush and nothing to wait for.
        _ = signal(SIGINT) { _ in _exit(0) }
        try await client.connected { api in
            try await FeedListener(client: api, page: page, since: since, printsJSON: client.json).run()
        }
    }
}
