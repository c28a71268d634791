import HTTPTypes
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// The short way of a single tip: from a connection's gate into the intake and back, without a task.
///
/// `POST /api/v1/pages/{slug}/tips` is the one call that comes by the thousand in a second, and the routes cost it more than
/// the tip itself does. What comes here is a part of what `TipsController.receive` takes, done with the same parts: the
/// commonest form of the request, by a key that may. Everything else, and whatever has a mistake in it, is left to the routes
/// untouched: they alone judge and explain, so that there is one answer to each mistake.
struct TipDoor: Sendable {
    let directory: Directory
    let authenticator: Authenticator
    let intake: TipIntake
    let position: LogPosition
    let clock: WallClock
    let responses: ResponseCounts
    let logger: Logger

    /// A request that goes the short way: what its head said.
    struct Visit: Sendable {
        let principal: Principal
        let slug: Slug
        let idempotencyKey: TipIdentifier?
        /// Bytes of the body.
        let length: Int
        let path: String
        let began: ContinuousClock.Instant
    }

    // MARK: Head

    private static let prefix = "/api/v1/pages/"
    private static let suffix = "/tips"

    /// Nil for a request that is the routes' business.
    func admit(_ head: HTTPRequestHead) -> Visit? {
        guard head.method == .POST, head.version == .http1_1, let slug = Self.slug(head.uri),
            let fields = Fields(head.headers), let length = fields.length, length <= Limits.requestBytes,
            let token = fields.authorization.flatMap({ BearerToken.read([$0]) }),
            fields.contentType == "application/json"
        else { return nil }
        var key: TipIdentifier?
        if let text = fields.idempotencyKey {
            key = TipIdentifier(text)
            if key == nil { return nil }
        }
        guard let principal = authenticator.holder(ofKey: token), principal.has(.tipsWrite),
            directory.page(slug, seenBy: principal) != nil
        else { return nil }
        return Visit(
            principal: principal, slug: slug, idempotencyKey: key, length: length, path: head.uri, began: .now)
    }

    private static func slug(_ target: String) -> Slug? {
        guard target.hasPrefix(prefix), target.hasSuffix(suffix) else { return nil }
        return Slug(String(target.dropFirst(prefix.count).dropLast(suffix.count)))
    }

    /// The headers that matter here, each at most once.
    private struct Fields {
        private(set) var authorization: String?
        private(set) var contentType: String?
        private(set) var idempotencyKey: String?
        private(set) var length: Int?

        /// Nil if one comes twice, or if there is one that asks for more than an answer.
        init?(_ headers: HTTPHeaders) {
            for (name, value) in headers {
                // None of the names looked for is shorter or longer.
                guard (6...17).contains(name.utf8.count) else { continue }
                switch name.lowercased() {
                case "authorization":
                    if authorization != nil { return nil }
                    authorization = value
                case "content-type":
                    if contentType != nil { return nil }
                    contentType = value
                case "idempotency-key":
                    if idempotencyKey != nil { return nil }
                    idempotencyKey = value
                case "content-length":
                    if length != nil { return nil }
                    length = Int(value)
                case "transfer-encoding", "expect", "upgrade":
                    return nil
                default:
                    break
                }
            }
        }
    }

    // MARK: Body

    /// Hands the tip to the intake. `done` is called once it is on disk or refused, on any thread; `answer` makes of it what goes
    /// out.
    ///
    /// - Returns: false, with nothing done, if the request is the routes' business after all.
    func receive(_ body: ByteBuffer, of visit: Visit, done: @escaping @Sendable (TipIntake.Outcome) -> Void) -> Bool {
        // Both as they are now that the body is here.
        guard body.readableBytes == visit.length, authenticator.isGood(visit.principal),
            let page = directory.page(visit.slug, seenBy: visit.principal), let value = try? JSONValue.parse(body),
            let draft = try? TipInput.draft(value, now: clock.now())
        else { return false }
        intake.submit(.receive(page: page.id, drafts: [draft], idempotencyKey: visit.idempotencyKey), answer: done)
        return true
    }

    func answer(to result: TipIntake.Outcome, _ visit: Visit) -> FrontAnswer {
        let (status, fields, body): (HTTPResponse.Status, HTTPFields, ByteBuffer)
        switch result {
        case .success(let answers):
            (status, fields, body) = TipsController.answer(answers[0], epoch: position.epoch)
        case .failure(let error):
            let problem = Problem.answering(
                TipsController.problem(ofSingleTip: error), method: .post, path: visit.path, logger: logger)
            status = problem.status
            (fields, body) = problem.parts
        }
        var all = fields
        all.setCommon(at: clock.now())
        responses.count(status.code, took: visit.began.duration(to: .now))
        return FrontAnswer(
            status: HTTPResponseStatus(statusCode: status.code, reasonPhrase: status.reasonPhrase),
            headers: HTTPHeaders(all), body: body)
    }
}
