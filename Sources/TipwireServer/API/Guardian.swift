import HTTPTypes
import Hummingbird
import TipwireCore
import TipwireHub

/// Finds out who calls: by API key, or by the session of a browser.
struct Guardian: Sendable {
    let authenticator: Authenticator
    let sessions: SessionCookie
    let addresses: ClientAddress

    func principal(of request: Request, context: AppContext) async throws -> Principal {
        let address = addresses.resolve(
            peer: context.peer, forwardedFor: request.headers[values: .forwardedFor])
        let key = BearerToken.read(request.headers[values: .authorization])
        if key == nil, let token = sessions.token(in: request.headers[values: .cookie]) {
            return try await principal(session: token, of: request, address: address)
        }
        return try authenticator.principal(key: key, address: address).get()
    }

    /// Asks once more, after a body that may have taken its time: whoever was revoked meanwhile changes nothing any more.
    func confirm(_ principal: Principal) async throws {
        guard try await authenticator.isValid(principal) else {
            throw Problem(
                .unauthorized, "The key or session ended while the request was sent.",
                headers: [.wwwAuthenticate: "Bearer"])
        }
    }

    private func principal(
        session token: String, of request: Request, address: String
    ) async throws -> Principal {
        let isChange = request.method != .get && request.method != .head
        if isChange, !sessions.isSameOrigin(origin: request.headers[.origin], host: request.head.authority) {
            throw Problem(.forbidden, "A session can make changes only from the dashboard's own pages.")
        }
        if !isChange, !SessionCookie.mayRead(fetchSite: request.headers[.secFetchSite]) {
            throw Problem(.forbidden, "A session can be read with only from the dashboard's own pages.")
        }
        guard let principal = try await authenticator.principal(sessionToken: token) else {
            if let wait = authenticator.recordFailure(of: address) {
                throw Authenticator.Failure.throttled(retryAfter: wait)
            }
            throw Problem(
                .unauthorized, "The session has ended; sign in again.", headers: [.wwwAuthenticate: "Bearer"])
        }
        return principal
    }
}
