import ArgumentParser

/// `tipwire nodes`: the servers that share one database.
struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "List the servers that share the database of this one.")

    @OptionGroup var client: ClientOptions

    func run() async throws {
        try await client.connected { api in
            let answer = try await api.call(APIRequest(.get, "nodes"))
            try client.print(answer, of: ListAnswer<NodeObject>.self) { Self.table($0.data) }
        }
    }

    static func table(_ nodes: [NodeObject]) -> String {
        var table = Table([
            .init(title: "NAME", limit: 30), .init(title: "STATE"), .init(title: "FEED", alignedRight: true),
            .init(title: "SSE", alignedRight: true), .init(title: "EVENTSUB", alignedRight: true),
            .init(title: "OVERLAY", alignedRight: true), .init(title: "LAG", alignedRight: true),
            .init(title: "WEBHOOKS"), .init(title: "VERSION"), .init(title: "SINCE"), .init(title: "URL", limit: 60),
        ])
        for node in nodes {
            let listeners = node.connections
            table.add(
                [
                    node.name, node.state, String(listeners.feed), String(listeners.sse), String(listeners.eventsub),
                    String(listeners.overlay), String(node.lagEvents), node.sendsWebhooks ? "sends" : "", node.version,
                ].map(VisibleText.init) + [Wording.moment(node.startedAt), VisibleText(node.url)])
        }
        return table.text
    }
}
