import ArgumentParser

extension SubscriptionCommand {
    /// `tipwire subscription test`: sends a test to a webhook, and waits for what becomes of it.
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "test", abstract: "Send a test to a webhook and tell what it answered.",
            discussion: """
                The message has "test": true and an id that begins with test-. Waits at most \
                \(DeliveryWatch.patience.components.seconds) seconds for the first attempt. Exit status 0 when it was \
                delivered, 1 otherwise.
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        func run() async throws {
            try await client.connected { api in
                let test = try await api.call(subscription.request(.post, "test")).decoded(as: DeliveryObject.self)
                let request = subscription.request(.get, delivery: test.id)
                let (delivery, answer) = try await DeliveryWatch(client: api, request: request).end()
                // A program is told of a failure too, by the same JSON and the exit status.
                if client.json || delivery.isDelivered {
                    try client.print(answer, of: DeliveryObject.self, text: DeliveryText.success)
                }
                guard !delivery.isDelivered else { return }
                guard delivery.isTried else { throw await overdue(delivery, api) }
                throw Failure(DeliveryText.failure(delivery))
            }
        }

        /// There was no attempt; how the subscription stands often says why.
        private func overdue(_ delivery: DeliveryObject, _ api: ManagementClient) async -> Failure {
            let now = try? await api.call(subscription.request(.get)).decoded(as: SubscriptionObject.self)
            let why = now.flatMap(SubscriptionText.hindrance).map { ": \($0)" } ?? ""
            return Failure(
                "no attempt ended within \(DeliveryWatch.patience.components.seconds) s\(why)\n"
                    + "it is not given up; look again with: tipwire subscription deliveries "
                    + "\(VisibleText(subscription.id)) \(VisibleText(delivery.id))")
        }
    }
}
