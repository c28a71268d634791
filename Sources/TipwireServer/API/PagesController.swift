import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Pages and their members.
struct PagesController: Sendable {
    let directory: Directory
    let clock: WallClock
    let publicURL: @Sendable () -> String

    func addRoutes(to router: APIRouter) {
        router.on(.post, "/api/v1/pages", scope: .manage, create)
        router.on(.get, "/api/v1/pages", scope: .manage, list)
        router.on(.get, "/api/v1/pages/{slug}", scope: .manage, show)
        router.on(.patch, "/api/v1/pages/{slug}", scope: .manage, update)
        router.on(.delete, "/api/v1/pages/{slug}", scope: .manage, delete)
        router.on(.put, "/api/v1/pages/{slug}/members/{account}", scope: .manage, addMember)
        router.on(.delete, "/api/v1/pages/{slug}/members/{account}", scope: .manage, removeMember)
    }

    @Sendable func create(_ call: Call) async throws -> Response {
        guard call.principal.pageLimit == nil else {
            throw Problem(.forbidden, "A key that is limited to pages can't make one.")
        }
        var reader = try ObjectReader(try await call.json())
        let slugText = reader.string("slug")
        reader.require("slug", slugText != nil)
        let slug = slugText.flatMap { Slug($0) }
        if slugText != nil, slug == nil { reader.fail("slug", Slug.rule) }
        let title = readTitle(&reader)
        let url = readURL(&reader)
        let currency = readCurrency(&reader)
        let ownerName = reader.string("owner")
        let owner = ownerName.map { name in Slug(name).flatMap { slug in directory.look { $0.account(named: slug) } } }
        if let owner, owner == nil { reader.fail("owner", "is not an account") }
        try reader.finish()
        if let owner, owner?.id != call.principal.account, !call.principal.administersServer {
            throw Problem(.forbidden, "Making a page for another account needs a key with the scope 'admin'.")
        }
        guard let slug else { preconditionFailure("a missing slug was refused") }
        let page: Page
        do {
            page = try await directory.createPage(
                NewPage(
                    slug: slug, title: title ?? slug.text, customURL: url, currency: currency ?? .usd,
                    owner: (owner ?? nil)?.id ?? call.principal.account, createdAt: clock.now()))
        } catch DirectoryRefusal.taken {
            throw Problem(
                .conflict, "The slug '\(slug)' is taken.",
                errors: [FieldError(field: "slug", detail: "is taken; choose another")])
        }
        return Answer.json(.created) { write(page, to: &$0) }
    }

    @Sendable func list(_ call: Call) async throws -> Response {
        let view = directory.view
        return try Answer.list(view.pages(where: call.principal.maySee), id: \.publicID, call: call) {
            DirectoryObject.write($0, view: view, publicURL: publicURL(), to: &$1)
        }
    }

    @Sendable func show(_ call: Call) async throws -> Response {
        let page = try call.page(in: directory)
        return Answer.json { write(page, to: &$0) }
    }

    @Sendable func update(_ call: Call) async throws -> Response {
        _ = try call.page(in: directory)
        var reader = try ObjectReader(try await call.json())
        let page = try call.page(in: directory)
        let title = readTitle(&reader)
        let url = readURL(&reader, mayBeEmpty: true)
        let currency = readCurrency(&reader)
        try reader.finish()
        let updated = try await directory.updatePage(page.id) { page in
            if let title { page.title = title }
            if let url { page.customURL = url.isEmpty ? nil : url }
            if let currency { page.currency = currency }
        }
        guard let updated else { throw LogRefusal.unknownPage }
        return Answer.json { write(updated, to: &$0) }
    }

    @Sendable func delete(_ call: Call) async throws -> Response {
        let page = try governed(call)
        guard call.query["confirm"].flatMap({ Slug($0) }) == page.slug else {
            throw InvalidInput(
                field: "confirm", "must be '\(page.slug)': deleting a page deletes its tips and its history")
        }
        try await directory.deletePage(page.id)
        return Answer.noContent()
    }

    @Sendable func addMember(_ call: Call) async throws -> Response {
        let page = try governed(call)
        let account = try account(call)
        // The owner is more than a member already.
        if account.id != page.owner { try await directory.addMember(account.id, to: page.id) }
        return Answer.noContent()
    }

    @Sendable func removeMember(_ call: Call) async throws -> Response {
        let page = try governed(call)
        try await directory.removeMember(try account(call).id, from: page.id)
        return Answer.noContent()
    }

    private func governed(_ call: Call) throws -> Page {
        let page = try call.page(in: directory)
        guard call.principal.mayGovern(page) else { throw Problem(.forbidden, "Only the page's owner may do this.") }
        return page
    }

    private func account(_ call: Call) throws -> Account {
        let name = try call.parameter("account")
        guard let account = Slug(name).flatMap({ slug in directory.look { $0.account(named: slug) } }) else {
            throw Problem(.notFound, "There is no such account.")
        }
        return account
    }

    private func write(_ page: Page, to writer: inout JSONWriter) {
        DirectoryObject.write(page, view: directory.view, publicURL: publicURL(), to: &writer)
    }

    private func readTitle(_ reader: inout ObjectReader) -> String? {
        guard let title = reader.string("title") else { return nil }
        if let problem = TextRules.problem(in: title, scalars: Limits.titleScalars, newlines: false) {
            reader.fail("title", problem)
        } else if TextRules.isBlank(title) {
            reader.fail("title", "must not be blank")
        }
        return title
    }

    /// - Parameter mayBeEmpty: an empty text takes a page's own address back.
    private func readURL(_ reader: inout ObjectReader, mayBeEmpty: Bool = false) -> String? {
        guard let url = reader.string("url") else { return nil }
        if mayBeEmpty, url.isEmpty { return url }
        if let problem = TextRules.problem(inURL: url) { reader.fail("url", problem) }
        return url
    }

    private func readCurrency(_ reader: inout ObjectReader) -> Currency? {
        guard let code = reader.string("currency") else { return nil }
        let currency = Currency(code: code)
        if currency == nil { reader.fail("currency", "must be a currency of ISO 4217, like USD") }
        return currency
    }
}
