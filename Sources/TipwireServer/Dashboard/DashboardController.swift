import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// The pages that people see, and their sessions.
struct DashboardController: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let store: any DirectoryStore
    let links: LoginLinks
    let passwords: Passwords
    let sessions: SessionCookie
    /// Guesses at passwords. Its own, so that a flood of bad keys makes none of them forgotten.
    let throttle: FailureThrottle
    let addresses: ClientAddress
    let fanout: Fanout
    let clock: WallClock
    let retention: ServerConfiguration.Retention
    let publicURL: @Sendable () -> String
    /// Passwords that are looked at at a time: each takes 32 MiB and a processor for tens of milliseconds.
    let guesses = StreamQuota(maximum: 4)

    /// Nothing but our own files, no forms to elsewhere: text from tippers has nothing to work with.
    private static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'self'"
    /// The dashboard stands in no frame, where a foreign page could lead clicks astray; it holds the overlays' in its own.
    private static let viewPolicy = contentSecurityPolicy + "; frame-src 'self'; frame-ancestors 'none'"

    func addRoutes(to router: APIRouter) {
        for (path, view) in Asset.views {
            router.open(.get, path) { request, _ in try await document(view, request) }
        }
        for (path, overlay) in Asset.overlays {
            router.open(.get, path) { request, _ in file(overlay, request, policy: Self.contentSecurityPolicy) }
        }
        for part in Asset.parts {
            router.open(.get, "/assets/\(part.name)") { request, _ in
                file(part, request, policy: Self.contentSecurityPolicy)
            }
        }
        router.open(.get, "/login", isSafe: false, login)
        router.open(.post, "/login", confirmLogin)
        router.open(.post, "/api/v1/session", signIn)
        router.on(.get, "/api/v1/session", scope: nil, session)
        router.on(.delete, "/api/v1/session", scope: nil, signOut)
        router.on(.delete, "/api/v1/sessions", scope: nil, signOutEverywhere)
        router.on(.put, "/api/v1/session/password", scope: nil, setPassword)
    }

    /// A view to a signed-in browser; to anyone else a page that shows nothing.
    private func document(_ view: Asset, _ request: Request) async throws -> Response {
        fresh(try await isSignedIn(request) ? view : .signIn, request)
    }

    /// One that depends on who asks, and is kept by nobody.
    private func fresh(_ document: Asset, _ request: Request) -> Response {
        var response = file(document, request, policy: Self.viewPolicy)
        response.headers[.cacheControl] = "no-store"
        return response
    }

    private func isSignedIn(_ request: Request) async throws -> Bool {
        guard let token = sessions.token(in: request.headers[values: .cookie]) else { return false }
        return try await authenticator.principal(sessionToken: token) != nil
    }

    /// Spends the one-time code of a link and begins a session; asks first where another site led here, which may have made the
    /// link for an account of its own.
    @Sendable func login(_ request: Request, _ context: AppContext) async throws -> Response {
        if SessionCookie.isLed(fetchSite: request.headers[.secFetchSite]) { return fresh(.confirmSignIn, request) }
        guard let token = try await redeem(request) else {
            // A link that was used already, by this very browser.
            if try await isSignedIn(request) { return Response(status: .seeOther, headers: [.location: "/"]) }
            return refusedLogin(request)
        }
        // The page itself, not a redirect to it: when the link was clicked on another site's page, a browser would follow the
        // redirect without the new, strict cookie. The page then drops the spent code from its address.
        var response = fresh(Asset.views[0].value, request)
        response.headers[.setCookie] = sessions.set(token, isSecure: isSecure(request, context))
        return response
    }

    /// The answer to that question: a form without fields, sent to the link itself.
    @Sendable func confirmLogin(_ request: Request, _ context: AppContext) async throws -> Response {
        // Not `Origin`, which is `null` in a form of a page without a referrer; and only browsers that say this are asked.
        guard request.headers[.secFetchSite]?.lowercased() == "same-origin" else {
            throw Problem(.forbidden, "Sign in on the dashboard's own page.")
        }
        guard let token = try await redeem(request) else { return refusedLogin(request) }
        return Response(
            status: .seeOther,
            headers: [
                .location: "/", .setCookie: sessions.set(token, isSecure: isSecure(request, context)),
                .cacheControl: "no-store",
            ])
    }

    private func redeem(_ request: Request) async throws -> String? {
        // What can't be a code costs no transaction.
        guard let code = QueryString(target: request.uri.string).nonEmpty("code"), LoginLinks.isCode(code) else {
            return nil
        }
        return try await links.redeem(code)
    }

    private func refusedLogin(_ request: Request) -> Response {
        var response = fresh(.signIn, request)
        response.status = .forbidden
        return response
    }

    /// `POST /api/v1/session {account,password}`.
    @Sendable func signIn(_ request: Request, _ context: AppContext) async throws -> Response {
        guard sessions.isSameOrigin(origin: request.headers[.origin], host: request.head.authority) else {
            throw Problem(.forbidden, "Sign in on the dashboard's own page.")
        }
        let call = Call(request: request, context: context, principal: .nobody, confirm: {})
        var reader = try ObjectReader(try await call.json())
        let name = reader.string("account")
        reader.require("account", name != nil)
        let password = reader.string("password")
        reader.require("password", password != nil)
        try reader.finish()
        let address = FailureThrottle.subject(
            of: addresses.resolve(peer: context.peer, forwardedFor: request.headers[values: .forwardedFor]))
        // A password can be guessed where a key can't: past the limit not even the right one is tried. Counted for an address, and
        // for an account from there: by the account alone anyone could lock its person out.
        let subjects = [address, "account \(name.flatMap { Slug($0) }?.text ?? "") from \(address)"]
        if let account = try await attempt(subjects, { try await self.account(named: name, password: password ?? "") })
        {
            let token = try await links.begin(account)
            return Response(
                status: .noContent, headers: [.setCookie: sessions.set(token, isSecure: isSecure(request, context))])
        }
        throw Problem(.unauthorized, "The account or the password is wrong.")
    }

    /// A guess at a password, which counts as a failure before it is looked at: a hundred at once would else all be looked at.
    private func attempt<Found>(_ subjects: [String], _ guess: () async throws -> Found?) async throws -> Found? {
        func forgive(_ subjects: some Sequence<String>) { for subject in subjects { throttle.forgive(subject) } }
        for (index, subject) in subjects.enumerated() {
            guard let wait = throttle.recordFailure(of: subject, at: clock.now()) else { continue }
            forgive(subjects[..<index])
            throw Authenticator.Failure.throttled(retryAfter: wait)
        }
        guard let turn = guesses.take() else {
            forgive(subjects)
            throw Problem(
                .serviceUnavailable, "The server is looking at other passwords; try again in a moment.",
                headers: [.retryAfter: "1"])
        }
        defer { withExtendedLifetime(turn) {} }
        do {
            let found = try await guess()
            if found != nil { forgive(subjects) }
            return found
        } catch {
            // Nobody's fault but the store's.
            forgive(subjects)
            throw error
        }
    }

    /// The account whose password this is. Takes the same time for an account that doesn't exist or has no password, so that
    /// names can't be told apart.
    private func account(named name: String?, password: String) async throws -> Account.ID? {
        guard Limits.passwordScalars.contains(password.unicodeScalars.count) else { return nil }
        let account = name.flatMap { Slug($0) }.flatMap { slug in directory.look { $0.account(named: slug) } }
        var stored: String?
        if let account { stored = try await store.passwordHash(of: account.id) }
        let isRight = try await passwords.matches(password, stored: stored ?? Passwords.nobodys)
        return isRight && stored != nil ? account?.id : nil
    }

    @Sendable func session(_ call: Call) async throws -> Response {
        let account = directory.look { $0.account(call.principal.account) }
        return Answer.json { writer in
            writer.beginObject()
            writer.member("account", account?.name.text)
            writer.member("isAdmin", call.principal.administersServer)
            writer.member("publicURL", publicURL())
            writer.member("version", TipwireVersion.text)
            writer.key("retention")
            writer.beginObject()
            writer.member("days", retention.days)
            writer.member("bytes", retention.bytes)
            writer.endObject()
            writer.endObject()
        }
    }

    @Sendable func signOut(_ call: Call) async throws -> Response {
        guard case .session(let hash) = call.principal.credential else {
            throw Problem(.badRequest, "This call was made with a key, not with a session.")
        }
        try await store.deleteSession(hash)
        await fanout.enforce(.sessionEnded(hash))
        return Response(status: .noContent, headers: [.setCookie: sessions.clear()])
    }

    /// Ends every session of the account, in all browsers, and the streams that were opened with them.
    @Sendable func signOutEverywhere(_ call: Call) async throws -> Response {
        try requireSession(call)
        try await store.deleteSessions(of: call.principal.account)
        await fanout.enforce(.sessionsEnded(call.principal.account))
        return Response(status: .noContent, headers: [.setCookie: sessions.clear()])
    }

    /// `PUT /api/v1/session/password {current?,password}`. Who has a password must know it: an open browser alone shall not take
    /// the account away from its person.
    @Sendable func setPassword(_ call: Call) async throws -> Response {
        try requireSession(call)
        var reader = try ObjectReader(try await call.json())
        let current = reader.string("current")
        let password = reader.string("password")
        reader.require("password", password != nil)
        if let password, let problem = Passwords.problem(with: password) { reader.fail("password", problem) }
        try reader.finish()
        if let stored = try await store.passwordHash(of: call.principal.account) {
            let isRight = try await attempt(["password of \(call.principal.account.rawValue)"]) {
                try await passwords.matches(current ?? "", stored: stored) ? true : nil
            }
            guard isRight == true else { throw InvalidInput(field: "current", "is not the account's password") }
        }
        try await store.setPasswordHash(try await passwords.hash(password ?? ""), of: call.principal.account)
        // Whoever else is signed in may be why it was changed. This browser goes on with a session of its own.
        try await store.deleteSessions(of: call.principal.account)
        await fanout.enforce(.sessionsEnded(call.principal.account))
        let token = try await links.begin(call.principal.account)
        return Response(
            status: .noContent,
            headers: [.setCookie: sessions.set(token, isSecure: isSecure(call.request, call.context))])
    }

    private func requireSession(_ call: Call) throws {
        guard case .session = call.principal.credential else {
            throw Problem(.badRequest, "This call was made with a key, not with a session.")
        }
    }

    /// Whether the browser speaks TLS: by our own address, or by the word of a trusted proxy.
    private func isSecure(_ request: Request, _ context: AppContext) -> Bool {
        if publicURL().hasPrefix("https://") { return true }
        return request.headers[.forwardedProto]?.lowercased() == "https" && addresses.isTrusted(context.peer)
    }

    private func file(_ asset: Asset, _ request: Request, policy: String) -> Response {
        var headers: HTTPFields = [
            .contentType: asset.mediaType, .cacheControl: "no-cache", .eTag: asset.tag,
            .contentSecurityPolicy: policy,
            .referrerPolicy: "no-referrer",
        ]
        if request.headers[values: .ifNoneMatch].contains(asset.tag) {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentLength] = "\(asset.bytes.readableBytes)"
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: asset.bytes))
    }
}

extension Principal {
    /// Someone who has proved nothing yet.
    fileprivate static let nobody = Principal(
        account: Account.ID(rawValue: 0), credential: .key(id: ""), scopes: [], pageLimit: [], expiresAt: nil)
}
