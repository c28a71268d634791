import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Accounts, and the one-time links that sign their people in.
struct AccountsController: Sendable {
    let directory: Directory
    let links: LoginLinks
    let passwords: Passwords
    let clock: WallClock

    func addRoutes(to router: APIRouter) {
        router.on(.post, "/api/v1/accounts", scope: .admin, create)
        router.on(.get, "/api/v1/accounts", scope: .admin, list)
        router.on(.post, "/api/v1/accounts/{account}/link", scope: .admin, link)
    }

    @Sendable func create(_ call: Call) async throws -> Response {
        var reader = try ObjectReader(try await call.json())
        let text = reader.string("name")
        reader.require("name", text != nil)
        let name = text.flatMap { Slug($0) }
        if text != nil, name == nil { reader.fail("name", Slug.rule) }
        let password = reader.string("password")
        if let password, let problem = Passwords.problem(with: password) { reader.fail("password", problem) }
        try reader.finish()
        guard let name else { preconditionFailure("a missing name was refused") }
        var hash: String?
        if let password { hash = try await passwords.hash(password) }
        let account: Account
        do {
            account = try await directory.createAccount(
                NewAccount(name: name, passwordHash: hash, createdAt: clock.now()))
        } catch DirectoryRefusal.taken {
            throw Problem(
                .conflict, "The account '\(name)' exists already.",
                errors: [FieldError(field: "name", detail: "is taken")])
        }
        return Answer.json(.created) { DirectoryObject.write(account, to: &$0) }
    }

    @Sendable func list(_ call: Call) async throws -> Response {
        try Answer.list(directory.view.accountsInOrder(), id: \.publicID, call: call) {
            DirectoryObject.write($0, to: &$1)
        }
    }

    @Sendable func link(_ call: Call) async throws -> Response {
        let name = try call.parameter("account")
        guard let account = Slug(name).flatMap({ slug in directory.look { $0.account(named: slug) } }) else {
            throw Problem(.notFound, "There is no such account.")
        }
        let link = try await links.make(for: account.id)
        return Answer.json(.created) { writer in
            writer.beginObject()
            writer.member("url", link.url)
            writer.member("expiresAt", link.expiresAt)
            writer.endObject()
        }
    }
}
