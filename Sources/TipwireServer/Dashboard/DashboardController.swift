import Crypto
import HTTPTypes
import Hummingbird
import NIOCore
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
    let throttle: FailureThrottle
    let addresses: ClientAddress
    let fanout: Fanout
    let clock: WallClock
    let publicURL: @Sendable () -> String

    /// Nothing but our own files, no frames, no forms to elsewhere: text from tippers has nothing to work with.
    private static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

    func addRoutes(to router: APIRouter) {
        router.open(.get, "/", home)
        router.open(.get, "/login", isSafe: false, login)
        router.open(.post, "/api/v1/session", signIn)
        router.on(.get, "/api/v1/session", scope: nil, session)
        router.on(.delete, "/api/v1/session", scope: nil, signOut)
        for asset in Asset.all where asset.name != Asset.live.name && asset.name != Asset.signIn.name {
            router.open(.get, "/assets/\(asset.name)") { request, _ in file(asset, request) }
        }
    }

    /// The Live page to a signed-in browser; to anyone else a page that shows nothing.
    @Sendable func home(_ request: Request, _ context: AppContext) async throws -> Response {
        var isSignedIn = false
        if let token = sessions.token(in: request.headers[values: .cookie]) {
            isSignedIn = try await authenticator.principal(sessionToken: token) != nil
        }
        var response = file(isSignedIn ? .live : .signIn, request)
        response.headers[.cacheControl] = "no-store"
        return response
    }

    /// Spends the one-time code of a link and begins a session.
    @Sendable func login(_ request: Request, _ context: AppContext) async throws -> Response {
        let code = QueryString(target: request.uri.string).nonEmpty("code")
        // What can't be a code costs no transaction.
        guard let code, LoginLinks.isCode(code), let token = try await links.redeem(code) else {
            var response = file(.signIn, request)
            response.status = .forbidden
            response.headers[.cacheControl] = "no-store"
            return response
        }
        // The page itself, not a redirect to it: when the link was clicked on another site's page, a browser would follow the
        // redirect without the new, strict cookie. The page then drops the spent code from its address.
        var response = file(.live, request)
        response.headers[.setCookie] = sessions.set(token, isSecure: isSecure(request, context))
        response.headers[.cacheControl] = "no-store"
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
        let address = addresses.resolve(
            peer: context.peer, forwardedFor: request.headers[values: .forwardedFor])
        // A password can be guessed where a key can't: past the limit not even the right one is tried, by address and by
        // account.
        let subjects = [address, "account \(name.flatMap { Slug($0) }?.text ?? "")"]
        for subject in subjects {
            if let wait = throttle.wait(of: subject, at: clock.now()) {
                throw Authenticator.Failure.throttled(retryAfter: wait)
            }
        }
        if let account = try await account(named: name, password: password ?? "") {
            let token = try await links.begin(account)
            return Response(
                status: .noContent, headers: [.setCookie: sessions.set(token, isSecure: isSecure(request, context))])
        }
        for subject in subjects { _ = throttle.recordFailure(of: subject, at: clock.now()) }
        throw Problem(.unauthorized, "The account or the password is wrong.")
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
            writer.member("publicURL", publicURL())
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

    /// Whether the browser speaks TLS: by our own address, or by the word of a trusted proxy.
    private func isSecure(_ request: Request, _ context: AppContext) -> Bool {
        if publicURL().hasPrefix("https://") { return true }
        return request.headers[.forwardedProto]?.lowercased() == "https" && addresses.isTrusted(context.peer)
    }

    private func file(_ asset: Asset, _ request: Request) -> Response {
        var headers: HTTPFields = [
            .contentType: asset.mediaType, .cacheControl: "no-cache", .eTag: asset.tag,
            .contentSecurityPolicy: Self.contentSecurityPolicy,
            HTTPField.Name("Referrer-Policy")!: "no-referrer",
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

/// A file of the dashboard, embedded in the program.
struct Asset: Sendable {
    let name: String
    let mediaType: String
    let bytes: ByteBuffer
    /// A strong entity tag: the start of the content's SHA-256.
    let tag: String

    private init(_ name: String, _ mediaType: String, _ content: [UInt8]) {
        self.name = name
        self.mediaType = mediaType
        bytes = ByteBuffer(bytes: content)
        tag = "\"\(SecretHash.hex(SHA256.hash(data: content).prefix(12)))\""
    }

    static let live = Asset("live.html", "text/html; charset=utf-8", PackageResources.live_html)
    static let signIn = Asset("signin.html", "text/html; charset=utf-8", PackageResources.signin_html)
    private static func script(_ name: String, _ content: [UInt8]) -> Asset {
        Asset(name, "text/javascript; charset=utf-8", content)
    }

    static let all = [
        live, signIn,
        script("api.js", PackageResources.api_js),
        script("connect.js", PackageResources.connect_js),
        script("document.js", PackageResources.document_js),
        script("feed.js", PackageResources.feed_js),
        script("live.js", PackageResources.live_js),
        script("money.js", PackageResources.money_js),
        script("row.js", PackageResources.row_js),
        script("signin.js", PackageResources.signin_js),
        script("tips.js", PackageResources.tips_js),
        script("watch.js", PackageResources.watch_js),
        Asset("style.css", "text/css; charset=utf-8", PackageResources.style_css),
        Asset("icon.svg", "image/svg+xml", PackageResources.icon_svg),
    ]
}
