import ArgumentParser
import Foundation
import TipwireCore

/// `tipwire listen`: prints tips, and what they do to goals, as they come.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Print tips as they come, and after a broken connection those that were missed.",
        discussion: """
            Events go to standard output, a line each; what happens to the connection goes to standard error. With \
            --json each line is an event's message as the server sends it. Ends with Ctrl-C.

            The feed tells of the tips of one page or of every page. The Event Hook (sse) tells of one page, of its \
            tips and its goals.
            """)

    @OptionGroup var client: ClientOptions

    @Option(
        help: "One page. Without it: feed, every page of the key's account; sse, the only page that the key may see.",
        transform: CommandArguments.slug)
    var page: Slug?

    @Option(help: ArgumentHelp("How to listen: feed (tips) or sse (tips and goals).", valueName: "way"))
    var via = Way.feed.rawValue

    @Option(help: "Begin after this cursor instead of now.")
    var since = "now"

    enum Way: String, CaseIterable {
        case feed, sse
    }

    func validate() throws {
        _ = try way()
        guard ListeningPosition.isUsable(since) else { throw ValidationError("--since must be a cursor or now") }
    }

    func run() async throws {
        let way = try way()
        // Every line is written when it is printed, so there is nothing to flush and nothing to wait for.
        _ = signal(SIGINT) { _ in _exit(0) }
        try await client.connected { api in
            let (address, key) = (api.address, api.key.key)
            switch way {
            case .feed: try await follow(FeedSource(address: address, key: key, page: page), api)
            case .sse:
                try await HookSource.with(address: address, key: key, page: page) { try await follow($0, api) }
            }
        }
    }

    private func follow(_ source: some ListeningSource, _ api: ManagementClient) async throws {
        try await Listener(client: api, source: source, page: page, since: since, printsJSON: client.json).run()
    }

    private func way() throws -> Way {
        if let way = Way(rawValue: via) { return way }
        let ways = Way.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("--via '\(VisibleText(via))' is not there; this version offers: \(ways)")
    }
}
