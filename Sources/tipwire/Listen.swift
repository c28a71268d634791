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
            tips and its goals. EventSub (eventsub) tells of one type of event on one page, and needs a key with the \
            scope \(Scope.eventsub.rawValue); after a break of two minutes or more it begins anew.
            """)

    @OptionGroup var client: ClientOptions

    @Option(
        help: """
            One page. Without it: feed, every page of the key's account; sse and eventsub, the only page that the key \
            may see.
            """,
        transform: CommandArguments.slug)
    var page: Slug?

    @Option(
        help: ArgumentHelp("How to listen: feed (tips), sse (tips and goals) or eventsub (--type).", valueName: "way"))
    var via = Way.feed.rawValue

    @Option(
        help: """
            With eventsub, what to be told of: \(EventSubType.allCases.map(\.rawValue).joined(separator: ", ")); the \
            first without it.
            """)
    var type: String?

    @Option(help: "Begin after this cursor instead of now; not with eventsub.")
    var since: String?

    enum Way: String, CaseIterable {
        case feed, sse, eventsub
    }

    func validate() throws {
        switch try way() {
        case .feed, .sse:
            guard type == nil else { throw ValidationError("--type goes with --via eventsub") }
            guard ListeningPosition.isUsable(position) else {
                throw ValidationError("--since must be a cursor or now")
            }
        case .eventsub:
            guard since == nil else {
                throw ValidationError(
                    "--since can't go with --via eventsub: a subscription begins when it is made and takes no cursor; "
                        + "--via feed and --via sse do")
            }
        }
    }

    func run() async throws {
        let way = try way()
        try await client.connected { api in
            switch way {
            case .feed:
                endAtOnceWhenInterrupted()
                try await follow(FeedSource(address: api.address, key: api.key.key, page: page), api)
            case .sse:
                endAtOnceWhenInterrupted()
                try await HookSource.with(address: api.address, key: api.key.key, page: page) {
                    try await follow($0, api)
                }
            case .eventsub: try await subscribe(EventSubSource(client: api, page: page, type: type), api)
            }
        }
    }

    /// Every line is written when it is printed, so there is nothing to flush and nothing to wait for.
    private func endAtOnceWhenInterrupted() {
        _ = signal(SIGINT) { _ in _exit(0) }
    }

    private func follow(_ source: some ListeningSource, _ api: ManagementClient) async throws {
        try await Listener(client: api, source: source, page: page, since: position, printsJSON: client.json).run()
    }

    /// Follows a subscription, and ends it when the program ends.
    private func subscribe(_ source: EventSubSource, _ api: ManagementClient) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await follow(source, api) }
            group.addTask { await Interruption.wait() }
            let end = await group.nextResult()
            group.cancelAll()
            await source.end()
            // An attempt to connect can't be cut short, and nobody waits for it any more.
            if case .success = end { _exit(0) }
            try end?.get()
        }
    }

    private var position: String { since ?? "now" }

    private func way() throws -> Way {
        if let way = Way(rawValue: via) { return way }
        let ways = Way.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("--via '\(VisibleText(via))' is not there; this version offers: \(ways)")
    }
}
