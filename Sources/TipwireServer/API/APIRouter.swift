import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import TipwireCore
import TipwireHub
import TipwireStore

/// The routes of the server, each with the scope that it asks for.
///
/// It remembers which methods a path has, so that a wrong one is told from a wrong path.
struct APIRouter {
    typealias Handler = @Sendable (Call) async throws -> Response

    private let router = Router(context: AppContext.self)
    private let guardian: Guardian
    private let known: KnownPaths

    init(guardian: Guardian, clock: WallClock, responses: ResponseCounts, logger: Logger) {
        self.guardian = guardian
        known = KnownPaths()
        router.add(middleware: ProblemMiddleware(known: known, clock: clock, responses: responses, logger: logger))
    }

    /// Adds a route that needs a key, or a session, with this scope.
    func on(_ method: HTTPRequest.Method, _ path: String, scope: Scope?, _ handler: @escaping Handler) {
        let guardian = guardian
        add(method, path) { request, context in
            let principal = try await guardian.principal(of: request, context: context)
            if let scope, !principal.has(scope) {
                throw Problem(.forbidden, "This needs a key with the scope '\(scope)'.")
            }
            if scope == .admin, !principal.administersServer {
                // Accounts, their links and the whole server's metrics reach beyond any page.
                throw Problem(.forbidden, "A key that is limited to pages can't administer the server.")
            }
            return try await handler(
                Call(request: request, context: context, principal: principal) {
                    try await guardian.confirm(principal)
                })
        }
    }

    /// Adds a route that is open to everyone.
    ///
    /// - Parameter isSafe: whether a GET only reads. HEAD does what GET does, which must not spend a code or make a thing.
    func open(
        _ method: HTTPRequest.Method, _ path: String, isSafe: Bool = true,
        _ handler: @escaping @Sendable (Request, AppContext) async throws -> Response
    ) {
        add(method, path, isSafe: isSafe, handler)
    }

    private func add(
        _ method: HTTPRequest.Method, _ path: String, isSafe: Bool = true,
        _ handler: @escaping @Sendable (Request, AppContext) async throws -> Response
    ) {
        known.add(method, path)
        router.on(RouterPath(path), method: method) { request, context in try await handler(request, context) }
        if method == .get, isSafe {
            known.add(.head, path)
            router.on(RouterPath(path), method: .head) { request, context in
                try await handler(request, context).createHeadResponse()
            }
        }
    }

    /// Every route, for those who describe them.
    var routes: [(method: HTTPRequest.Method, path: String)] { known.routes }

    func buildResponder() -> some HTTPResponder<AppContext> { router.buildResponder() }
}

/// One authenticated call.
struct Call: Sendable {
    let request: Request
    let context: AppContext
    let principal: Principal
    /// Throws when the caller's credential has ended since the request began.
    let confirm: @Sendable () async throws -> Void

    /// A part of the path, percent-decoded.
    func parameter(_ name: String) throws -> String {
        let text = try context.parameters.require(name)
        return text.utf8.contains(UInt8(ascii: "%")) ? text.removingPercentEncoding ?? text : text
    }
}

/// Turns errors into answers, and puts what every answer carries onto it.
private struct ProblemMiddleware: RouterMiddleware {
    let known: KnownPaths
    let clock: WallClock
    let responses: ResponseCounts
    let logger: Logger

    func handle(
        _ request: Request, context: AppContext, next: (Request, AppContext) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            if request.method == .options, let allowed = known.methods(of: request.uri.path) {
                response = Response(status: .noContent, headers: [.allow: KnownPaths.list(allowed)])
            } else {
                let problem = answer(to: error, request: request)
                response =
                    EventSubProblem.speaks(at: request.uri.path)
                    ? EventSubProblem(problem).response : problem.response
                if request.method == .head { response = response.createHeadResponse() }
            }
        }
        response.headers.setCommon(at: clock.now())
        responses.count(response.status.code, took: began.duration(to: .now))
        return response
    }

    private func answer(to error: any Error, request: Request) -> Problem {
        let problem = Problem.answering(error, method: request.method, path: request.uri.path, logger: logger)
        if problem.status == .notFound, let allowed = known.methods(of: request.uri.path),
            !allowed.contains(request.method)
        {
            let list = KnownPaths.list(allowed)
            return Problem(.methodNotAllowed, "This address takes \(list).", headers: [.allow: list])
        }
        return problem
    }
}

extension HTTPFields {
    /// What every answer carries.
    mutating func setCommon(at now: Timestamp) {
        self[.date] = now.httpDate
        self[.xContentTypeOptions] = "nosniff"
    }
}

/// The paths that exist, and their methods. Filled while the routes are built, read only afterwards.
///
/// Asked when a request is refused, and for OPTIONS: never on the way of one that is answered.
private final class KnownPaths: Sendable {
    private typealias Known = (pattern: [Substring], method: HTTPRequest.Method)

    private let known = Mutex<[Known]>([])

    var routes: [(method: HTTPRequest.Method, path: String)] {
        known.withLock { $0 }.map { ($0.method, "/" + $0.pattern.joined(separator: "/")) }
    }

    func add(_ method: HTTPRequest.Method, _ path: String) {
        known.withLock { $0.append((path.split(separator: "/"), method)) }
    }

    /// Methods as `Allow` names them: with OPTIONS, which says just this.
    static func list(_ methods: Set<HTTPRequest.Method>) -> String {
        methods.union([.options]).map(\.rawValue).sorted().joined(separator: ", ")
    }

    /// The methods of a path, nil when no route has it. `*` is the server as a whole (RFC 9110, 9.3.7).
    func methods(of path: String) -> Set<HTTPRequest.Method>? {
        let paths = known.withLock { $0 }
        if path == "*" { return Set(paths.map(\.method)) }
        let parts = path.split(separator: "/")
        let matching = paths.filter { candidate in
            candidate.pattern.count == parts.count
                && zip(candidate.pattern, parts).allSatisfy { $0.first == "{" || $0 == $1 }
        }
        // The router goes by the literal part where there is one: `/goals/order` is never a goal.
        func literals(_ pattern: [Substring]) -> Int { pattern.count { $0.first != "{" } }
        guard let most = matching.map({ literals($0.pattern) }).max() else { return nil }
        return Set(matching.filter { literals($0.pattern) == most }.map(\.method))
    }
}
