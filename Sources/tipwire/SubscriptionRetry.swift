import ArgumentParser
import TipwireCore

extension SubscriptionCommand {
    /// `tipwire subscription retry`: sends deliveries again.
    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "retry", abstract: "Send one delivery again, or all that are dead, or those of a range.",
            discussion: """
                Without a delivery's id every dead one is sent again; --from and --to narrow that to the time of their \
                events, --status says which state instead: dead (or failed), delivered, pending, all, or an HTTP status \
                that was answered last, like 500.
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named

        @Argument(help: "This delivery alone, whatever its state.", transform: CommandArguments.deliveryID)
        var delivery: String?

        @Option(help: ArgumentHelp("From this time on, like 2030-01-31T12:00:00Z.", valueName: "time"))
        var from: String?

        @Option(help: ArgumentHelp("Up to this time.", valueName: "time"))
        var to: String?

        @Option(help: "Those of this state; dead without it.")
        var status: String?

        private static let states = ["dead", "failed", "delivered", "pending", "all"]

        func validate() throws {
            let (from, to) = try (Self.time(from, "--from"), Self.time(to, "--to"))
            if delivery != nil, from != nil || to != nil || status != nil {
                throw ValidationError("--from, --to and --status choose among many; they can't go with one delivery")
            }
            if let from, let to, from > to { throw ValidationError("--from must not be after --to") }
            if let status, !Self.states.contains(status), !Self.isHTTPStatus(status) {
                throw ValidationError(
                    "--status must be one of \(Self.states.joined(separator: ", ")), or an HTTP status like 500")
            }
        }

        func run() async throws {
            try await client.connected { api in
                if let delivery {
                    let answer = try await api.call(subscription.request(.post, delivery: delivery, "retry"))
                    return try client.print(answer, of: DeliveryObject.self, text: DeliveryText.retry)
                }
                var request = subscription.request(.post, "retry")
                request.query = try query()
                let answer = try await api.call(request)
                try client.print(answer, of: RetryAnswer.self, text: DeliveryText.retry)
            }
        }

        private func query() throws -> [(name: String, value: String)] {
            let values = [
                ("from", try Self.time(from, "--from")?.description), ("to", try Self.time(to, "--to")?.description),
                ("status", status),
            ]
            return values.compactMap { name, value in value.map { (name: name, value: $0) } }
        }

        private static func time(_ text: String?, _ option: String) throws -> Timestamp? {
            guard let text else { return nil }
            guard let time = Timestamp(rfc3339: text) else {
                throw ValidationError("\(option) must be a time like 2030-01-31T12:00:00Z")
            }
            return time
        }

        private static func isHTTPStatus(_ text: String) -> Bool {
            text.utf8.count == 3 && Int(text).map { (100...599).contains($0) } == true
        }
    }
}
