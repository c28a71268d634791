import ArgumentParser
import Foundation
import TipwireCore

/// `tipwire account`: the people and programs that own pages and keys.
struct AccountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account", abstract: "Make and list accounts, and log in to the dashboard.",
        subcommands: [Create.self, List.self, Link.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make an account.",
            discussion: "Without a password the account logs in with the links of 'tipwire account link'.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "Its name: letters, digits, hyphens.")
        var name: String

        /// Never an option with the password in it: arguments are seen by every user of the machine.
        @Flag(help: "Read its password from the first line of standard input.")
        var passwordStdin = false

        private struct Body: Encodable {
            let name: String
            let password: String?
        }

        func run() async throws {
            let body = Body(name: name, password: passwordStdin ? try Self.password() : nil)
            try await client.connected { api in
                let answer = try await api.call(APIRequest(.post, "accounts").sending(body))
                try client.print(answer, of: AccountObject.self) { "account \(VisibleText($0.name)) is made\n" }
            }
        }

        private static func password() throws -> String {
            guard let line = readLine(), !line.isEmpty else {
                throw Failure("standard input has no password on its first line")
            }
            return line
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List accounts.")

        @OptionGroup var client: ClientOptions

        func run() async throws {
            try await client.connected { api in
                try await client.printList(
                    api, APIRequest(.get, "accounts"),
                    hint: "no accounts; create one with: tipwire account create NAME",
                    columns: [.init(title: "NAME"), .init(title: "ID"), .init(title: "CREATED")]
                ) { (account: AccountObject) in
                    [VisibleText(account.name), VisibleText(account.id), Wording.moment(account.createdAt)]
                }
            }
        }
    }

    struct Link: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "link", abstract: "Print a link that logs in to the dashboard once.",
            discussion: "Whoever opens it first is logged in as that account. It ends after ten minutes.")

        @OptionGroup var client: ClientOptions

        @Argument(help: "The account.", transform: CommandArguments.slug)
        var name = Slug("admin")!

        func run() async throws {
            try await client.connected { api in
                let answer = try await api.call(APIRequest(.post, "accounts", name.text, "link").about(.account(name)))
                try client.print(answer, of: LinkObject.self) { link in
                    TextOutput.notes.note("usable once, until \(Wording.moment(link.expiresAt)):")
                    return "\(VisibleText(link.url))\n"
                }
            }
        }
    }
}
