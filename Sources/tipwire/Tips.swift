import ArgumentParser
import TipwireCore

/// `tipwire tips`: the activity feed of a page, newest first.
struct TipsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tips", abstract: "List a page's tips, newest first.")

    @OptionGroup var client: ClientOptions

    @Argument(help: "The page.", transform: CommandArguments.slug)
    var slug: Slug

    @Option(help: "How many, from 1 to \(Limits.listRows.upperBound).")
    var limit = Limits.defaultListRows

    func validate() throws {
        guard Limits.listRows.contains(limit) else {
            throw ValidationError("--limit must be from 1 to \(Limits.listRows.upperBound)")
        }
    }

    func run() async throws {
        try await client.connected { api in
            var request = APIRequest(.get, "pages", slug.text, "tips").about(.page(slug))
            request.query = [("limit", String(limit))]
            let answer = try await api.call(request)
            try client.print(answer, of: ListAnswer<TipObject>.self) { list in
                guard !list.data.isEmpty else {
                    TextOutput.notes.note("no tips yet; send one with: tipwire tip \(slug) --amount 5.00")
                    return ""
                }
                return Self.table(list.data)
            }
        }
    }

    static func table(_ tips: [TipObject]) -> String {
        var table = Table([
            .init(title: "TIME"), .init(title: "NAME", limit: 30), .init(title: "AMOUNT", alignedRight: true),
            .init(title: "REFUNDED"), .init(title: "MESSAGE", limit: 60), .init(title: "ID"),
        ])
        for tip in tips {
            table.add([
                Wording.moment(tip.processedAt), Wording.tipper(tip.displayName),
                VisibleText(Wording.money(tip.grossAmountInCents, code: tip.currency)),
                tip.refundedAt.map(Wording.moment) ?? VisibleText(""), VisibleText(tip.message), VisibleText(tip.id),
            ])
        }
        return table.text
    }
}
