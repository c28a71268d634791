import ArgumentParser
import Foundation
import TipwireCore

/// `tipwire page`: the pages that tips are sent to.
struct PageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "page",
        abstract: "Make, list, show and delete pages.",
        subcommands: [Create.self, List.self, Show.self, Delete.self, PageMemberCommand.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "create", abstract: "Make a page.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "Its name in addresses: letters, digits, hyphens.")
        var slug: String

        @Option(help: "What people call it.")
        var title: String?

        @Option(help: "Its address on the web; without one, the server's own page for it.")
        var url: String?

        @Option(help: "ISO 4217 code of its one currency; USD without it.")
        var currency: String?

        @Option(help: "The account it belongs to (needs the scope admin).", transform: CommandArguments.slug)
        var owner: Slug?

        private struct Body: Encodable {
            let slug: String
            let title: String?
            let url: String?
            let currency: String?
            let owner: String?
        }

        func run() async throws {
            try await client.connected { api in
                let body = Body(slug: slug, title: title, url: url, currency: currency, owner: owner?.text)
                let answer = try await api.call(APIRequest(.post, "pages").sending(body))
                try client.print(answer, of: PageObject.self) { PageCommand.properties(of: $0) }
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List pages.")

        @OptionGroup var client: ClientOptions

        func run() async throws {
            try await client.connected { api in
                try await client.printList(
                    api, APIRequest(.get, "pages"), hint: "no pages yet; create one with: tipwire page create SLUG",
                    columns: [
                        .init(title: "SLUG"), .init(title: "TITLE", limit: 40), .init(title: "CURRENCY"),
                        .init(title: "PROFILE", alignedRight: true), .init(title: "OWNER"), .init(title: "CREATED"),
                    ]
                ) { (page: PageObject) in
                    [
                        VisibleText(page.slug), VisibleText(page.title ?? ""), VisibleText(page.currency),
                        VisibleText(page.profileId.map(String.init) ?? ""), VisibleText(page.owner ?? ""),
                        Wording.moment(page.createdAt),
                    ]
                }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a page.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        func run() async throws {
            try await client.connected { api in
                let answer = try await api.call(APIRequest(.get, "pages", slug.text).about(.page(slug)))
                try client.print(answer, of: PageObject.self) { PageCommand.properties(of: $0) }
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete a page and all its tips.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        @Flag(help: "Do not ask; nobody is asked where there is no terminal.")
        var yes = false

        func run() async throws {
            try confirm()
            try await client.connected { api in
                var request = APIRequest(.delete, "pages", slug.text).about(.page(slug))
                request.query = [("confirm", slug.text)]
                try client.confirm(await api.call(request), "page \(slug) is deleted")
            }
        }

        /// Asks a person before anything is sent. A script has named the page, and there is nobody to ask.
        private func confirm() throws {
            guard !yes, isatty(STDIN_FILENO) == 1 else { return }
            try? TextOutput.notes.write(
                "This deletes page '\(slug)' with all its tips and webhooks, for ever. Type its name to go on: ")
            guard let line = readLine(), Slug(line.trimmingCharacters(in: .whitespaces)) == slug else {
                throw Failure("nothing was deleted")
            }
        }
    }

    private static func properties(of page: PageObject) -> String {
        Table.properties([
            ("slug", VisibleText(page.slug)),
            ("title", VisibleText(page.title ?? "")),
            ("url", VisibleText(page.url ?? "")),
            ("currency", VisibleText(page.currency)),
            ("profile", VisibleText(page.profileId.map(String.init) ?? "")),
            ("owner", VisibleText(page.owner ?? "")),
            ("created", Wording.moment(page.createdAt)),
        ])
    }
}
