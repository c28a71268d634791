import ArgumentParser
import TipwireCore

/// `tipwire replay`: sends a tip to the listeners once more.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Send a tip to its listeners again.",
        discussion: "The same tip with the same id and times; nothing is counted twice. 'tipwire tips' lists the ids.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The page.", transform: CommandArguments.slug)
    var slug: Slug

    @Argument(help: "The tip's id.", transform: CommandArguments.tipIdentifier)
    var tipID: TipIdentifier

    func run() async throws {
        try await client.connected { api in
            let request = APIRequest(.post, "pages", slug.text, "tips", tipID.text, "replay")
            let answer = try await api.call(request.about(.tip(tipID, on: slug)))
            try client.print(answer, of: TipAnswer.self) { answer in
                let tip = answer.tip
                return "replayed \(Wording.money(tip.grossAmountInCents, code: tip.currency)) from "
                    + "\(Wording.tipper(tip.displayName)) to \(VisibleText(tip.page)) · tip \(VisibleText(tip.id)) · "
                    + "cursor \(VisibleText(answer.cursor))\n"
            }
        }
    }
}
