import ArgumentParser
import TipwireCore

/// `tipwire goal`: what a page collects for.
struct GoalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "goal",
        abstract: "Add, list, edit, move, remove and adjust the goals of a page.",
        discussion: """
            Tips go to the first goal that is not completed; what it doesn't take spills into the next. Amounts are in \
            the currency of the page.
            """,
        subcommands: [Add.self, List.self, Edit.self, Move.self, Remove.self, Adjust.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Add a goal at the end of the queue.",
            discussion: "When no other goal is active, tips go to it at once.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        @Argument(help: "What it is for.")
        var description: String

        @Option(parsing: .unconditional, help: "How much it takes, like 50.00.")
        var amount: String

        private struct Body: Encodable {
            let description: String
            let amountInCents: Int
        }

        func validate() throws { try Amount.validate(amount, of: "--amount", like: "50.00") }

        func run() async throws {
            try await client.connected { api in
                let currency = try await api.managedCurrency(of: slug)
                let body = Body(
                    description: description,
                    amountInCents: try Amount.minorUnits(amount, in: currency, limits: Limits.goalAmountInCents))
                let request = try APIRequest(.post, "pages", slug.text, "goals").about(.page(slug)).sending(body)
                try client.print(await api.call(request), of: GoalObject.self) {
                    GoalText(currency: currency).line($0) + "\n"
                }
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List a page's goals in their order.",
            discussion: "PLACE counts the goals that are not completed, and is what 'tipwire goal move --to' takes.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        func run() async throws {
            try await client.connected { api in
                let answer = try await api.call(APIRequest(.get, "pages", slug.text, "goals").about(.page(slug)))
                try await GoalCommand.print(answer, of: slug, client, api)
            }
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "edit", abstract: "Change what a goal is for, or how much it takes.",
            discussion: """
                An amount at or below what the goal has completes it; what is beyond goes nowhere else. A completed \
                goal keeps its amount.
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var goal: Named

        @Option(help: "What it is for.")
        var description: String?

        @Option(parsing: .unconditional, help: "How much it takes, like 50.00.")
        var amount: String?

        private struct Body: Encodable {
            let description: String?
            let amountInCents: Int?
        }

        func validate() throws {
            guard description != nil || amount != nil else {
                throw ValidationError("give --description, --amount or both")
            }
            if let amount { try Amount.validate(amount, of: "--amount", like: "50.00") }
        }

        func run() async throws {
            try await client.connected { api in
                let currency = try await api.managedCurrency(of: goal.slug)
                let body = Body(
                    description: description,
                    amountInCents: try amount.map {
                        try Amount.minorUnits($0, in: currency, limits: Limits.goalAmountInCents)
                    })
                let request = goal.request(.patch).about(.goalAmount(goal.change(.edit, in: currency)))
                let answer = try await api.call(request.sending(body))
                try client.print(answer, of: GoalObject.self) { GoalText(currency: currency).line($0) + "\n" }
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove a goal.",
            discussion: "Its progress goes with it, and into no other goal.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var goal: Named

        func run() async throws {
            try await client.connected { api in
                // Before it is gone. A program is told nothing, and needs no look.
                let words = client.json ? "" : try await words(api)
                try client.confirm(try await api.call(goal.request(.delete)), words)
            }
        }

        private func words(_ api: ManagementClient) async throws -> String {
            let text = GoalText(currency: try await api.managedCurrency(of: goal.slug))
            let there = try await api.goals(of: goal.slug).first { $0.id == goal.id }
            return text.removal(of: goal.id, there, from: goal.slug)
        }
    }

    /// A goal that is there, or should be.
    struct Named: ParsableArguments {
        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        @Argument(help: "The goal's id; 'tipwire goal list' shows it.", transform: CommandArguments.goalID)
        var id: String

        func request(_ method: APIRequest.Method) -> APIRequest {
            APIRequest(method, "pages", slug.text, "goals", id).about(.goal(id, on: slug))
        }

        func change(_ kind: GoalAmountChange.Kind, in currency: Currency) -> GoalAmountChange {
            GoalAmountChange(goalID: id, page: slug, currency: currency, kind: kind)
        }
    }

    /// Prints the goals of a page, all of them: the API doesn't divide this list.
    static func print(
        _ answer: APIAnswer, of page: Slug, _ client: ClientOptions, _ api: ManagementClient
    ) async throws {
        if client.json { return try TextOutput.answers.write(answer.jsonLine) }
        let goals = try answer.decoded(as: ListAnswer<GoalObject>.self).data
        guard !goals.isEmpty else {
            return TextOutput.notes.note(
                "no goals yet; add one with: tipwire goal add \(page) \"New webcam\" --amount 50.00")
        }
        try await TextOutput.answers.write(GoalText(currency: api.managedCurrency(of: page)).table(goals))
    }
}
