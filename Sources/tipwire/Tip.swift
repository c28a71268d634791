import ArgumentParser
import TipwireCore

/// `tipwire tip`: sends a tip, or many.
struct TipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tip",
        abstract: "Send a tip.",
        discussion: """
            The amount is in the currency of the page, with at most the decimals that it has. A key that may only \
            send tips (tips:write) can't ask for the currency; USD's two decimals are taken then.
            """)

    @OptionGroup var client: ClientOptions

    @Argument(help: "The page.", transform: CommandArguments.slug)
    var slug: Slug

    // Else a minus would be taken for the beginning of an option, and the amount for missing.
    @Option(parsing: .unconditional, help: "How much, like 5.00, in the page's currency.")
    var amount: String

    @Option(help: "The tipper's name; without one the tip is anonymous.")
    var name: String?

    @Option(help: "What the tipper says.")
    var message: String?

    @Flag(help: "Hide the name.")
    var anonymous = false

    @Option(
        help: "The tip's id: sent twice, it is one tip. With --count, -1, -2 and so on are added.",
        transform: CommandArguments.tipIdentifier)
    var id: TipIdentifier?

    @Option(help: "Send so many tips, with a summary at the end.")
    var count: Int?

    @Option(help: "Tips a second, with --count; without it as fast as they are acknowledged.")
    var rate: Double?

    func validate() throws {
        try Amount.validate(amount, of: "--amount", like: "5.00")
        if let count {
            guard BurstPlan.counts.contains(count) else {
                throw ValidationError("--count must be from 1 to \(BurstPlan.counts.upperBound)")
            }
            if let id, !BurstPlan.fits(id: id, count: count) {
                throw ValidationError(
                    "--id with -\(count) added is longer than \(Limits.identifierCharacters) characters")
            }
        }
        if let rate {
            guard count != nil else { throw ValidationError("--rate goes with --count") }
            guard rate.isFinite, rate > 0, rate <= BurstPlan.highestRate else {
                throw ValidationError("--rate must be more than 0 and at most \(Int(BurstPlan.highestRate))")
            }
        }
    }

    func run() async throws {
        try await client.connected { api in
            let assumed = try await api.currency(of: slug)
            let body = TipBody(
                displayName: name,
                grossAmountInCents: try Amount.minorUnits(
                    amount, in: assumed ?? .usd, limits: Limits.grossAmountInCents),
                message: message, isAnonymous: anonymous ? true : nil, id: id?.text)
            let sender = TipSender(client: api, page: slug, announcesRetries: count == nil)
            guard let count else {
                let acknowledgement = try await sender.send(body, idempotencyKey: id == nil ? .random() : nil)
                return try show(acknowledgement, assumed: assumed)
            }
            let plan = BurstPlan(count: count, rate: rate, id: id, run: .random())
            try await TipBurst(sender: sender, plan: plan, body: body, printsAnswers: client.json).run()
        }
    }

    private func show(_ acknowledgement: Acknowledgement, assumed: Currency?) throws {
        try client.print(acknowledgement.answer, of: TipAnswer.self) { answer in
            let tip = answer.tip
            if assumed == nil, let currency = Currency(code: tip.currency), currency.minorDigits != 2 {
                TextOutput.notes.note(
                    "warning: the page's currency is \(currency.code), which this key may not ask for; "
                        + "the amount was read with USD's two decimals")
            }
            return Self.line(answer, isRepeat: acknowledgement.isRepeat)
        }
    }

    /// `$23.00 from Grace to demo · completed "New microphone" · $3.00 to "Better lights" · tip t1 · cursor 3f9a1c2e-42`.
    static func line(_ answer: TipAnswer, isRepeat: Bool) -> String {
        let tip = answer.tip
        let money = Wording.money(tip.grossAmountInCents, code: tip.currency)
        let parts =
            ["\(money) from \(Wording.tipper(tip.displayName)) to \(VisibleText(tip.page))"]
            + TipEffect(events: answer.events, currency: tip.currency).parts
            + ["tip \(VisibleText(tip.id))", "cursor \(VisibleText(answer.cursor))"]
            + (isRepeat ? ["already there"] : [])
        return parts.joined(separator: " · ") + "\n"
    }
}
