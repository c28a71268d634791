import ArgumentParser
import TipwireCore

extension SubscriptionCommand {
    /// `tipwire subscription deliveries`: what became of the events that a webhook was told of.
    struct Deliveries: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "deliveries", abstract: "List the deliveries of a webhook, newest first, or show one whole.",
            discussion: """
                With a delivery's id: its attempts, the beginning of each answer, and what is sent. --json has the \
                answers as far as they are kept.
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        @Argument(help: "Show this delivery alone.", transform: CommandArguments.deliveryID)
        var delivery: String?

        @Option(help: "How many, from 1 to \(Limits.listRows.upperBound); \(Limits.defaultListRows) without it.")
        var limit: Int?

        @Option(help: "Only those that are pending, delivered or dead.")
        var state: String?

        private static let states = ["pending", "delivered", "dead"]

        func validate() throws {
            if delivery != nil, limit != nil || state != nil {
                throw ValidationError("--limit and --state are for the list, not for one delivery")
            }
            if let limit, !Limits.listRows.contains(limit) {
                throw ValidationError("--limit must be from 1 to \(Limits.listRows.upperBound)")
            }
            if let state, !Self.states.contains(state) {
                throw ValidationError("--state must be one of \(Self.states.joined(separator: ", "))")
            }
        }

        func run() async throws {
            try await client.connected { api in
                if let delivery {
                    let answer = try await api.call(subscription.request(.get, delivery: delivery))
                    return try client.print(answer, of: DeliveryObject.self, text: DeliveryText.whole)
                }
                var request = subscription.request(.get, "deliveries")
                request.query = [("limit", String(limit ?? Limits.defaultListRows))]
                if let state { request.query.append(("state", state)) }
                try client.print(await api.call(request), of: ListAnswer<DeliveryObject>.self) { list in
                    guard !list.data.isEmpty else {
                        TextOutput.notes.note(
                            state == nil
                                ? "no deliveries yet; try one with: tipwire subscription test \(subscription.id)"
                                : "no such deliveries")
                        return ""
                    }
                    return DeliveryText.table(list.data)
                }
            }
        }
    }
}

extension SubscriptionCommand.Named {
    /// A call about one of its deliveries.
    ///
    /// - Parameter path: What follows the delivery's own address.
    func request(_ method: APIRequest.Method, delivery: String, _ path: String...) -> APIRequest {
        APIRequest(method, ["subscriptions", id, "deliveries", delivery] + path).about(.delivery(delivery, of: id))
    }
}
