import ArgumentParser
import TipwireCore

extension GoalCommand {
    /// `tipwire goal move`: reads the queue, moves one goal in it, and sends the order back.
    ///
    /// Between the two somebody else may change the queue. The server takes an order only if it names every open goal
    /// once, so what they did is never undone by this; it is told, and the command can be run again.
    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "move", abstract: "Move a goal to another place in the queue.",
            discussion: """
                Exactly one of --to, --first and --last is needed. Place 1 is the active goal's. Each goal keeps its \
                progress. Completed goals have no place and can't be moved.
                """)

        @OptionGroup var client: ClientOptions
        @OptionGroup var goal: Named

        @Option(help: ArgumentHelp("Its place among the goals that are not completed, from 1.", valueName: "n"))
        var to: Int?

        @Flag(help: "Make it the active goal.")
        var first = false

        @Flag(help: "Make it the last one.")
        var last = false

        private struct Body: Encodable {
            let ids: [String]
        }

        func validate() throws { _ = try place() }

        func run() async throws {
            let place = try place()
            try await client.connected { api in
                let order = try await GoalOrder.moving(
                    goal.id, to: place, in: api.goals(of: goal.slug), of: goal.slug)
                let request = try APIRequest(.put, "pages", goal.slug.text, "goals", "order")
                    .about(.goalOrder(of: goal.slug)).sending(Body(ids: order))
                try await GoalCommand.print(api.call(request), of: goal.slug, client, api)
            }
        }

        private func place() throws -> GoalOrder.Place {
            switch (to, first, last) {
            case (let number?, false, false):
                guard number >= 1 else { throw ValidationError("--to must be 1 or more") }
                return .number(number)
            case (nil, true, false): return .first
            case (nil, false, true): return .last
            default: throw ValidationError("give exactly one of --to, --first and --last")
            }
        }
    }
}
