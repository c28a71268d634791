import ArgumentParser
import TipwireCore

/// `tipwire page member`: who else may do on a page what its owner may.
struct PageMemberCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member", abstract: "Add and remove the members of a page.",
        subcommands: [Add.self, Remove.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Make an account a member of a page.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var membership: Membership

        func run() async throws {
            try await membership.change(.put, client, "account \(membership.account) is a member of \(membership.slug)")
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "End an account's membership of a page.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var membership: Membership

        func run() async throws {
            try await membership.change(
                .delete, client, "account \(membership.account) is no member of \(membership.slug)")
        }
    }

    struct Membership: ParsableArguments {
        @Argument(help: "The page.", transform: CommandArguments.slug)
        var slug: Slug

        @Argument(help: "The account's name.", transform: CommandArguments.slug)
        var account: Slug

        func change(_ method: APIRequest.Method, _ client: ClientOptions, _ done: String) async throws {
            try await client.connected { api in
                let request = APIRequest(method, "pages", slug.text, "members", account.text)
                try client.confirm(await api.call(request.about(.member(account, of: slug))), done)
            }
        }
    }
}
