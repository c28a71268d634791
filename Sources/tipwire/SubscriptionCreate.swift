import ArgumentParser
import TipwireCore

extension SubscriptionCommand {
    /// `tipwire subscription create`: makes a webhook and shows its secret.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make a webhook and print its id and its secret, this once.",
            discussion: """
                Types: \(EventSubType.allCases.map(\.rawValue).joined(separator: ", ")). The secret signs what is sent; \
                the receiver checks it as Standard Webhooks has it. Two lines go to standard output, the id and the \
                secret, all else to standard error: \
                { read -r ID; read -r SECRET; } < <(tipwire subscription create demo https://example.org/tips).
                """)

        @OptionGroup var client: ClientOptions

        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        @Argument(help: "Where to send to: an https address.")
        var url: String

        @Option(help: "What to send; \(EventSubType.alerts.rawValue), tips and their replays, without it.")
        var type: String?

        @Option(
            parsing: .unconditional,
            help: ArgumentHelp("Leave out tips of less, like 5.00, in the page's currency.", valueName: "amount"))
        var minimumAmount: String?

        @OptionGroup var secret: SecretOption

        private struct Body: Encodable {
            let page: String
            let callback: String
            let type: String?
            let condition: [String: String]?
            let secret: String?
        }

        func validate() throws {
            if let minimumAmount { try Amount.validate(minimumAmount, of: "--minimum-amount", like: "5.00") }
        }

        func run() async throws {
            let body = Body(
                page: slug.text, callback: url, type: type,
                condition: minimumAmount.map { ["minimum_amount": $0] }, secret: try secret.text())
            try await client.connected { api in
                let answer = try await api.call(APIRequest(.post, "subscriptions").sending(body))
                try client.print(answer, of: SubscriptionObject.self) { made in
                    guard let secret = made.transport.secret else {
                        throw Failure(
                            "webhook \(VisibleText(made.id)) is made, but the server's answer has no secret in it")
                    }
                    TextOutput.notes.note(
                        "\(VisibleText(made.type)) of \(VisibleText(made.page)) go to "
                            + "\(VisibleText(made.transport.callback))\n"
                            + "The second line is the secret. This is the only time it is shown.")
                    return "\(VisibleText(made.id))\n\(VisibleText(secret))\n"
                }
            }
        }
    }

    /// Where a secret of the caller's choice comes from.
    struct SecretOption: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "Take the secret from this file, or from standard input for -; without it the server makes one.",
                valueName: "file"))
        var secretFile: String?

        /// Nil leaves the choice to the server.
        func text() throws -> String? { try secretFile.map(SecretFile.read) }
    }
}
