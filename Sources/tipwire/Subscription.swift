import ArgumentParser
import TipwireCore

/// `tipwire subscription`: the webhooks that a page's events are sent to.
struct SubscriptionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subscription",
        abstract: "Make and look after webhooks: addresses that events are sent to.",
        discussion: """
            Each event is sent until the address answers that it has it, for about three days; what was never taken is \
            kept as a dead delivery and can be retried.
            """,
        subcommands: [
            Create.self, List.self, Show.self, Enable.self, Disable.self, Rotate.self, Delete.self, Deliveries.self,
            Retry.self, Test.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List webhooks.",
            discussion: """
                PENDING counts the deliveries that wait for their first or next attempt, NEXT TRY is when the earliest \
                of those that failed is sent again.
                """)

        @OptionGroup var client: ClientOptions

        func run() async throws {
            try await client.connected { api in
                try await client.printList(
                    api, APIRequest(.get, "subscriptions"),
                    hint: "no webhooks; create one with: tipwire subscription create SLUG https://…",
                    columns: SubscriptionText.columns, cells: SubscriptionText.cells)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a webhook.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        func run() async throws {
            try await client.connected { api in
                let answer = try await api.call(subscription.request(.get))
                try client.print(answer, of: SubscriptionObject.self, text: SubscriptionText.properties)
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable", abstract: "Send to a webhook again.",
            discussion: "What happened while it was disabled is sent now, as far as the log still has it.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        func run() async throws { try await subscription.change(isEnabled: true, client) }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable", abstract: "Send nothing to a webhook until it is enabled again.",
            discussion: "What happens meanwhile waits in the log.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        func run() async throws { try await subscription.change(isEnabled: false, client) }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete a webhook.",
            discussion: "Its deliveries go with it, those that wait included.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        func run() async throws {
            try await client.connected { api in
                let answer = try await api.call(subscription.request(.delete))
                try client.confirm(answer, "webhook \(VisibleText(subscription.id)) is deleted")
            }
        }
    }

    /// A subscription that is there, or should be.
    struct Named: ParsableArguments {
        @Argument(
            help: "The webhook's id; 'tipwire subscription list' shows it.", transform: CommandArguments.subscriptionID)
        var id: String

        private struct Change: Encodable {
            let enabled: Bool
        }

        /// - Parameter path: What follows the subscription's own address.
        func request(_ method: APIRequest.Method, _ path: String...) -> APIRequest {
            APIRequest(method, ["subscriptions", id] + path).about(.subscription(id))
        }

        func change(isEnabled: Bool, _ client: ClientOptions) async throws {
            try await client.connected { api in
                let answer = try await api.call(request(.patch).sending(Change(enabled: isEnabled)))
                try client.print(answer, of: SubscriptionObject.self, text: SubscriptionText.change)
            }
        }
    }
}
