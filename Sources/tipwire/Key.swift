import ArgumentParser
import Foundation
import TipwireCore

/// `tipwire key`: what programs show to be let in.
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make, list and revoke API keys.",
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make a key and print it, this once.",
            discussion: """
                Scopes: \(Scope.all.map(\.rawValue).joined(separator: ", ")). Without --scope a key may read events. \
                The key alone goes to standard output, all else to standard error: KEY=$(tipwire key create --name bot).
                """)

        @OptionGroup var client: ClientOptions

        @Option(help: "What it is for.")
        var name: String

        @Option(help: "What it may do; can be given more than once.")
        var scope: [String] = []

        @Option(help: "A page it is limited to; can be given more than once.", transform: CommandArguments.slug)
        var page: [Slug] = []

        @Option(help: "When it ends: 90s, 15m, 12h, 30d, or a time like 2030-01-31T12:00:00Z.")
        var expires: String?

        @Option(help: "The account it belongs to (needs the scope admin).", transform: CommandArguments.slug)
        var account: Slug?

        private struct Body: Encodable {
            let name: String
            let scopes: [String]?
            let pages: [String]?
            let expiresAt: String?
            let account: String?
        }

        func validate() throws { _ = try expiry() }

        func run() async throws {
            let body = Body(
                name: name, scopes: scope.isEmpty ? nil : scope, pages: page.isEmpty ? nil : page.map(\.text),
                expiresAt: try expiry()?.description, account: account?.text)
            try await client.connected { api in
                let answer = try await api.call(APIRequest(.post, "keys").sending(body))
                try client.print(answer, of: KeyObject.self) { made in
                    guard let key = made.key else { throw Failure("the server's answer has no key in it") }
                    let pages = made.pages ?? []
                    TextOutput.notes.note(
                        "key \(VisibleText(made.id)) '\(VisibleText(made.name))', "
                            + "scopes: \(VisibleText(made.scopes.joined(separator: ", "))), "
                            + "pages: \(VisibleText(pages.isEmpty ? "all" : pages.joined(separator: ", "))), "
                            + "expires: \(made.expiresAt.map { Wording.moment($0).description } ?? "never")\n"
                            + "This is the only time it is shown; the server keeps no copy.")
                    return "\(VisibleText(key))\n"
                }
            }
        }

        private func expiry() throws -> Timestamp? {
            guard let expires else { return nil }
            let now = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
            guard let time = Expiry.time(expires, now: now) else {
                throw ValidationError("--expires \(Expiry.rule)")
            }
            return time
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List keys.")

        @OptionGroup var client: ClientOptions

        func run() async throws {
            try await client.connected { api in
                try await client.printList(
                    api, APIRequest(.get, "keys"),
                    hint: "no keys; create one with: tipwire key create --name NAME",
                    columns: [
                        .init(title: "ID"), .init(title: "PREFIX"), .init(title: "NAME", limit: 30),
                        .init(title: "ACCOUNT"), .init(title: "SCOPES"), .init(title: "PAGES", limit: 40),
                        .init(title: "EXPIRES"), .init(title: "LAST USED"),
                    ], cells: KeyCommand.cells)
            }
        }
    }

    static func cells(_ key: KeyObject) -> [VisibleText] {
        let pages = key.pages ?? []
        return [
            VisibleText(key.id), VisibleText(key.prefix), VisibleText(key.name), VisibleText(key.account),
            VisibleText(key.scopes.joined(separator: ",")),
            VisibleText(pages.isEmpty ? "all" : pages.joined(separator: ",")),
            key.expiresAt.map(Wording.moment) ?? VisibleText("never"),
            key.lastUsedAt.map(Wording.moment) ?? VisibleText("never"),
        ]
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "End a key at once.",
            discussion: """
                Its open connections are closed too, and the webhooks that it made are disabled; whoever enables one \
                makes it theirs. 'tipwire key list' shows the ids.
                """)

        @OptionGroup var client: ClientOptions

        @Argument(help: "The key's id.")
        var id: String

        func run() async throws {
            try await client.connected { api in
                let webhooks = try await webhooks(api)
                let answer = try await api.call(APIRequest(.delete, "keys", id).about(.key(id)))
                try client.confirm(answer, "key \(VisibleText(id)) is revoked")
                for webhook in webhooks {
                    TextOutput.notes.note(
                        "webhook \(VisibleText(webhook)) went with it; to go on with another key: "
                            + "tipwire subscription enable \(VisibleText(webhook))")
                }
            }
        }

        /// Those that the key holds up.
        private func webhooks(_ api: ManagementClient) async throws -> [String] {
            var request = APIRequest(.get, "subscriptions")
            request.query = [("limit", String(Limits.listRows.upperBound))]
            let list = try await api.call(request).decoded(as: ListAnswer<SubscriptionObject>.self)
            return list.data.filter { $0.isEnabled && $0.keyID == id }.map(\.id)
        }
    }
}
