import Logging
import NIOHTTP1
import TipwireCore
import TipwireHub

/// What the doors of all dialects share: who comes, whether there is room, and how a refusal is counted and told.
///
/// Answered from memory alone: clients that reconnect at once and for ever cost no database.
struct Admission: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let quota: StreamQuota
    let addresses: ClientAddress
    let clock: WallClock
    let refusals: RefusalCounts
    let logger: Logger

    /// - Parameters:
    ///   - address: whose request it is.
    ///   - scope: what the key must have.
    ///   - hint: where a key belongs, as a sentence's end: `add auth=YOUR_API_KEY to the URL`.
    ///   - headers: go onto a refusal.
    func principal(
        key: String?, address: String, hint: String, scope: Scope = .eventsRead, headers: HTTPHeaders = [:]
    ) -> Result<Principal, StreamRefusal> {
        switch authenticator.principal(key: key, address: address) {
        case .success(let principal):
            guard principal.has(scope) else {
                return .failure(
                    StreamRefusal(.unauthorized, "This API key doesn't have the scope \(scope).", because: "scope"))
            }
            return .success(principal)
        case .failure(.missing):
            return .failure(
                StreamRefusal(.unauthorized, "An API key is needed: \(hint).", because: "key_missing"))
        case .failure(.invalid):
            return .failure(
                StreamRefusal(
                    .unauthorized, "This API key is unknown, expired or revoked.", because: "key_invalid"))
        case .failure(.throttled(let wait)):
            return .failure(
                StreamRefusal(
                    .tooManyRequests, "Too many requests with a bad API key; wait \(wait) seconds.",
                    because: "throttled", headers: ["retry-after": "\(wait)"]))
        }
    }

    /// The page of this slug, if it may be followed. One answer for unknown and not open, so that slugs can't be probed.
    func page(_ text: String, for principal: Principal) -> Result<Page, StreamRefusal> {
        let page = Slug(text).flatMap { slug in directory.look { $0.page(slug: slug) } }
        guard let page, principal.mayFollow(page) else {
            return .failure(
                StreamRefusal(
                    .forbidden, "There is no such page, or this key has no access to it.", because: "access"))
        }
        return .success(page)
    }

    func room() -> Result<StreamPermit, StreamRefusal> {
        guard let permit = quota.take() else {
            return .failure(
                StreamRefusal(
                    .serviceUnavailable, "The server has no room for another connection.", because: "full",
                    headers: ["retry-after": "5"]))
        }
        return .success(permit)
    }

    /// Counts a refusal and puts it into bytes.
    func refuse(_ refusal: StreamRefusal, address: String, headers: HTTPHeaders = [:]) -> StreamDecision {
        refusals.count(refusal.reason)
        logger.debug(
            "a stream was refused",
            metadata: [
                "status": "\(refusal.status.code)", "reason": "\(refusal.reason)", "address": "\(address)",
            ])
        var all = refusal.headers
        all.add(contentsOf: headers)
        return .answer(FrontAnswer(status: refusal.status, message: refusal.message, headers: all))
    }
}

/// Why a stream isn't opened.
struct StreamRefusal: Error {
    let status: HTTPResponseStatus
    /// A sentence for the caller.
    let message: String
    /// A word for the metrics; one of a fixed set.
    let reason: String
    let headers: HTTPHeaders

    init(_ status: HTTPResponseStatus, _ message: String, because reason: String, headers: HTTPHeaders = [:]) {
        self.status = status
        self.message = message
        self.reason = reason
        self.headers = headers
    }
}
