import ArgumentParser
import TipwireCore

/// `tipwire refund`: takes a tip back out of the goals.
struct RefundCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refund",
        abstract: "Mark a tip as refunded, and take it back out of the goals.",
        discussion: """
            Each goal that is not completed loses what the tip put into it; completed goals stay. No money is moved: \
            that is done where it was paid. Done twice, it is done once. 'tipwire tips' lists the ids.
            """)

    @OptionGroup var client: ClientOptions

    @Argument(help: "The page.", transform: CommandArguments.slug)
    var slug: Slug

    @Argument(help: "The tip's id.", transform: CommandArguments.tipIdentifier)
    var tipID: TipIdentifier

    func run() async throws {
        try await client.connected { api in
            let request = APIRequest(.post, "pages", slug.text, "tips", tipID.text, "refund")
            // Without a key of its own: a tip is refunded once, and a repeat is answered as the first time.
            let acknowledgement = try await api.acknowledged(
                request.about(.tip(tipID, on: slug)),
                advice: "it may have been done all the same; repeat the command, it is done once")
            try client.print(acknowledgement.answer, of: RefundAnswer.self, text: Self.line)
        }
    }

    /// `refunded $5.00 from Ada on demo · 1 goal lost $3.00 · tip t1 · cursor 3f9a1c2e-42`.
    static func line(_ answer: RefundAnswer) -> String {
        let tip = answer.tip
        let taken = answer.events.flatMap { $0.data.change?.taken ?? [] }
        let sum = taken.reduce(0) { $0.addingReportingOverflow($1.amountInCents).partialValue }
        let goals =
            switch taken.count {
            case 0: "no goal lost anything"
            case 1: "1 goal lost \(Wording.money(sum, code: tip.currency))"
            case let count: "\(count) goals lost \(Wording.money(sum, code: tip.currency))"
            }
        return "refunded \(Wording.money(tip.grossAmountInCents, code: tip.currency)) from "
            + "\(Wording.tipper(tip.displayName)) on \(VisibleText(tip.page)) · \(goals) · tip \(VisibleText(tip.id)) · "
            + "cursor \(VisibleText(answer.cursor))\n"
    }
}
