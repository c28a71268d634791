import ArgumentParser

extension SubscriptionCommand {
    /// `tipwire subscription rotate`: changes a webhook's secret.
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a webhook another secret and print it, this once.",
            discussion: """
                For a while each message is signed with both, so that the receiver can change over without missing one. \
                The secret alone goes to standard output: SECRET=$(tipwire subscription rotate ID).
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named
        @OptionGroup var secret: SecretOption

        private struct Body: Encodable {
            let secret: String
        }

        func run() async throws {
            var request = subscription.request(.post, "secret", "rotate")
            if let text = try secret.text() { request = try request.sending(Body(secret: text)) }
            try await client.connected { api in
                try client.print(await api.call(request), of: RotationAnswer.self) { answer in
                    TextOutput.notes.note(
                        "The secret before is signed with too until \(Wording.moment(answer.previousExpiresAt)).\n"
                            + "This is the only time the new one is shown.")
                    return "\(VisibleText(answer.secret))\n"
                }
            }
        }
    }
}
