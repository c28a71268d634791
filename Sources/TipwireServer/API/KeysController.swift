import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// API keys.
struct KeysController: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let clock: WallClock

    func addRoutes(to router: APIRouter) {
        router.on(.post, "/api/v1/keys", scope: .manage, create)
        router.on(.get, "/api/v1/keys", scope: .manage, list)
        router.on(.delete, "/api/v1/keys/{id}", scope: .manage, revoke)
    }

    @Sendable func create(_ call: Call) async throws -> Response {
        let now = clock.now()
        var reader = try ObjectReader(try await call.json())
        let name = readName(&reader)
        let scopes = readScopes(&reader, granter: call.principal)
        let pages = readPages(&reader, granter: call.principal)
        let expiresAt = readExpiry(&reader, granter: call.principal, now: now)
        let account = readAccount(&reader, granter: call.principal)
        try reader.finish()
        let key = APIKey.random()
        let record = KeyRecord(
            id: PublicID.random(), prefix: key.prefix, hash: key.hash, name: name, account: account,
            scopes: scopes, pages: pages, createdAt: now, expiresAt: expiresAt)
        try await directory.createKey(record)
        return Answer.json(.created) {
            DirectoryObject.write(record, plaintext: key.reveal(), lastUsedAt: nil, view: directory.view, to: &$0)
        }
    }

    @Sendable func list(_ call: Call) async throws -> Response {
        let view = directory.view
        let keys = view.keys { call.principal.mayManage($0) }
        return try Answer.list(keys, id: \.id, call: call) { key, writer in
            DirectoryObject.write(key, lastUsedAt: authenticator.lastUse(of: key), view: view, to: &writer)
        }
    }

    @Sendable func revoke(_ call: Call) async throws -> Response {
        let id = try call.parameter("id")
        guard let key = directory.look({ $0.key(id) }), call.principal.mayManage(key),
            try await directory.revokeKey(id)
        else { throw Problem(.notFound, "There is no key of this id.") }
        return Answer.noContent()
    }

    private func readName(_ reader: inout ObjectReader) -> String {
        let name = reader.string("name")
        reader.require("name", name != nil)
        guard let name else { return "" }
        if let problem = TextRules.problem(in: name, scalars: Limits.keyNameScalars, newlines: false) {
            reader.fail("name", problem)
        } else if TextRules.isBlank(name) {
            reader.fail("name", "must not be blank")
        }
        return name
    }

    private func readScopes(_ reader: inout ObjectReader, granter: Principal) -> [Scope] {
        guard let names = reader.strings("scopes") else { return [.eventsRead] }
        if names.isEmpty { reader.fail("scopes", "must name at least one scope") }
        var scopes: [Scope] = []
        for name in names {
            let scope = Scope(rawValue: name)
            if !Scope.all.contains(scope) {
                reader.fail(
                    "scopes", "'\(name.prefix(64))' is not one of \(Scope.all.map(\.rawValue).joined(separator: ", "))")
            } else if !granter.has(scope) {
                reader.fail("scopes", "'\(name)' can't be granted: this key doesn't have it")
            } else if !scopes.contains(scope) {
                scopes.append(scope)
            }
        }
        return scopes
    }

    private func readPages(_ reader: inout ObjectReader, granter: Principal) -> Set<Page.ID>? {
        guard let slugs = reader.strings("pages") else {
            if granter.pageLimit != nil {
                reader.fail("pages", "is needed: this key is limited to pages, and so are those that it makes")
            }
            return nil
        }
        if slugs.isEmpty || slugs.count > Limits.keyPages {
            reader.fail("pages", "must name 1 to \(Limits.keyPages) pages")
        }
        var pages: Set<Page.ID> = []
        for text in slugs.prefix(Limits.keyPages) {
            let page = Slug(text).flatMap { slug in directory.look { $0.page(slug: slug) } }
            if let page, granter.maySee(page) {
                pages.insert(page.id)
            } else {
                reader.fail("pages", "'\(text.prefix(Limits.slugCharacters))' is no page that your key may use")
            }
        }
        return pages
    }

    /// A key outlives none that it made: without an expiry of its own the new one gets its maker's.
    private func readExpiry(_ reader: inout ObjectReader, granter: Principal, now: Timestamp) -> Timestamp? {
        guard let expiresAt = reader.timestamp("expiresAt") else { return limit(of: granter) }
        if expiresAt <= now { reader.fail("expiresAt", "must lie in the future") }
        if let limit = limit(of: granter), expiresAt > limit {
            reader.fail("expiresAt", "must not lie after \(limit), when the key that makes this one expires")
        }
        return expiresAt
    }

    private func limit(of granter: Principal) -> Timestamp? {
        if case .key = granter.credential { return granter.expiresAt }
        return nil
    }

    private func readAccount(_ reader: inout ObjectReader, granter: Principal) -> Account.ID {
        guard let name = reader.string("account") else { return granter.account }
        let account = Slug(name).flatMap { slug in directory.look { $0.account(named: slug) } }
        guard let account, account.id == granter.account || granter.administersServer else {
            reader.fail(
                "account",
                granter.administersServer
                    ? "is not an account" : "must be this key's own; others need the scope 'admin'")
            return granter.account
        }
        return account.id
    }
}
