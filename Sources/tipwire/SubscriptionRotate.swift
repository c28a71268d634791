import ArgumentParser

extension SubscriptionCommand {
    /// `tipwire subscription rotate`: changes a webhook's secret.
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Give a webhook another secret and print it, this once.",
            discussion: """
                For a while each message is signed with both, so that the receiver can change over without missing one; \
                with --now the old one ends at once, which is for a secret that others have seen. \
                The secret alone goes to standard output: SECRET=$(tipwire subscription rotate ID).
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var subscription: Named
        @OptionGroup var secret: SecretOption

        @Flag(help: "End the secret before at once, and all that are still signed with.")
        var now = false

        private struct Body: Encodable {
            let secret: String?
            let expirePrevious: Bool?

            private enum CodingKeys: String, CodingKey {
                case secret
                case expirePrevious = "expire_previous"
            }
        }

        func run() async throws {
            var request = subscription.request(.post, "secret", "rotate")
            let body = Body(secret: try secret.text(), expirePrevious: now ? true : nil)
            if body.secret != nil || now { request = try request.sending(body) }
            try await client.connected { api in
                try client.print(await api.call(request), of: RotationAnswer.self) { answer in
                    let former =
                        now
                        ? "The old secret signs nothing any more: until the receiver has the new one it refuses everything."
                        : "The old secret signs too, until \(Wording.moment(answer.previousExpiresAt))."
                    TextOutput.notes.note("\(former)\nThis is the only time the new one is shown.")
                    return "\(VisibleText(answer.secret))\n"
                }
            }
        }
    }
}
