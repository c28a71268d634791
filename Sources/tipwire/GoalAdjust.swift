import ArgumentParser
import TipwireCore

extension GoalCommand {
    /// `tipwire goal adjust`: corrects a goal's progress by hand.
    struct Adjust: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "adjust", abstract: "Add to a goal's progress by hand, or take from it.",
            discussion: """
                For money that came or went past Tipwire. The reason stays in the log. The result must lie from nothing \
                to the goal's amount; reaching the amount completes the goal. Sent twice with the same \
                --idempotency-key, it is done once.
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var goal: Named

        // Else the parser would take a minus for the beginning of an option.
        @Option(parsing: .unconditional, help: "How much, like 5.00 or -5.00.")
        var amount: String

        @Option(help: "Why.")
        var reason: String

        @Option(
            help: ArgumentHelp("A name for this adjustment; a random one without it.", valueName: "key"),
            transform: CommandArguments.tipIdentifier)
        var idempotencyKey: TipIdentifier?

        private struct Body: Encodable {
            let amountInCents: Int
            let reason: String
        }

        func validate() throws {
            guard Amount.isSignedDecimal(amount) else {
                throw ValidationError("--amount must be a number like 5.00 or -5.00, not '\(VisibleText(amount))'")
            }
        }

        func run() async throws {
            try await client.connected { api in
                let currency = try await api.managedCurrency(of: goal.slug)
                let cents = try Amount.signedMinorUnits(
                    amount, in: currency, most: Limits.goalAmountInCents.upperBound)
                let key = idempotencyKey ?? .random()
                var request = try APIRequest(.post, "pages", goal.slug.text, "goals", goal.id, "adjust")
                    .about(.goalAmount(goal.change(.adjustment(cents), in: currency)))
                    .sending(Body(amountInCents: cents, reason: reason))
                request.idempotencyKey = key
                let acknowledgement = try await api.acknowledged(
                    request,
                    advice: "it may have been done all the same; to be sure that it is done once, repeat the command "
                        + "with --idempotency-key \(key)")
                try client.print(acknowledgement.answer, of: AdjustmentAnswer.self) { answer in
                    "\(GoalText(currency: currency).line(answer.goal)) · cursor \(VisibleText(answer.cursor))\n"
                }
            }
        }
    }
}
