import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWebhooks
import TipwireWire

/// A refused or failed call, as RFC 9457 has it: `application/problem+json`.
struct Problem: Error, Sendable {
    let status: HTTPResponse.Status
    /// A sentence for the caller: what is wrong and what to do.
    let detail: String
    var errors: [FieldError] = []
    var headers: HTTPFields = [:]
    /// Further members (RFC 9457, section 3.2), for programs: lists of ids.
    var extensions: [(name: String, ids: [String])] = []

    init(
        _ status: HTTPResponse.Status, _ detail: String, errors: [FieldError] = [], headers: HTTPFields = [:],
        extensions: [(name: String, ids: [String])] = []
    ) {
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.extensions = extensions
    }

    var response: Response {
        let (fields, body) = parts
        return Response(status: status, headers: fields, body: .init(byteBuffer: body))
    }

    var parts: (fields: HTTPFields, body: ByteBuffer) {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("type", "about:blank")
        writer.member("title", status.reasonPhrase)
        writer.member("status", Int(status.code))
        writer.member("detail", detail)
        if !errors.isEmpty {
            writer.key("errors")
            writer.beginArray()
            for error in errors {
                writer.beginObject()
                writer.member("field", error.field)
                writer.member("detail", error.detail)
                writer.endObject()
            }
            writer.endArray()
        }
        for (name, ids) in extensions {
            writer.key(name)
            writer.beginArray()
            for id in ids { writer.value(id) }
            writer.endArray()
        }
        writer.endObject()
        var fields = headers
        fields[.contentType] = "application/problem+json"
        fields[.cacheControl] = "no-store"
        let body = writer.finish()
        fields[.contentLength] = "\(body.readableBytes)"
        return (fields, body)
    }
}

extension Problem {
    /// What a caller is told of an error, and the log of what a caller can't mend.
    static func answering(_ error: any Error, method: HTTPRequest.Method, path: String, logger: Logger) -> Problem {
        guard let problem = Problem(error) else {
            // The reason is for the operator; a caller learns that it isn't their fault.
            logger.error(
                "a request failed", metadata: ["method": "\(method)", "path": "\(path)", "error": "\(error)"])
            return Problem(.internalServerError, "Something went wrong here; the server's log says what.")
        }
        if error is StoreFull || error is StoreFailing {
            // A caller is told to wait; what to do about it only the operator can know.
            logger.error(
                "the store failed; the request is refused",
                metadata: ["method": "\(method)", "path": "\(path)", "error": "\(error)"])
        }
        return problem
    }

    /// The one place where an error becomes a status. Nil for an error that no caller should be told of.
    init?(_ error: any Error) {
        switch error {
        case let problem as Problem: self = problem
        case let invalid as InvalidInput:
            self.init(.unprocessableContent, "Some fields are not valid.", errors: invalid.errors)
        case let failure as Authenticator.Failure: self.init(failure)
        case let refusal as LogRefusal: self.init(refusal)
        case let refusal as IntakeRefusal: self.init(refusal)
        case let refusal as DirectoryRefusal: self.init(refusal)
        case let refusal as WebhookRefusal: self.init(refusal)
        case let refusal as SubscriptionQuota.Refusal: self.init(refusal)
        case is StoreFull: self = Self.diskIsFull
        case is StoreFailing:
            self.init(
                .serviceUnavailable,
                "The server's store failed, so this may not have been kept; send it again in a moment.",
                headers: [.retryAfter: "1"])
        case let error as HTTPError: self.init(error.status, error.body ?? Self.sentence(for: error.status))
        case is CancellationError, is ChannelError:
            // The connection ended under the request, at the end of a drain for one.
            self.init(.serviceUnavailable, "The request was cut off; send it again.", headers: [.retryAfter: "1"])
        case is NIOTooManyBytesError: self.init(.contentTooLarge, Self.sentence(for: .contentTooLarge))
        default: return nil
        }
    }

    private init(_ failure: Authenticator.Failure) {
        let challenge: HTTPFields = [.wwwAuthenticate: "Bearer"]
        switch failure {
        case .missing:
            self.init(
                .unauthorized, "An API key is needed: send 'Authorization: Bearer YOUR_API_KEY'.", headers: challenge)
        case .invalid:
            self.init(.unauthorized, "This API key is unknown, expired or revoked.", headers: challenge)
        case .throttled(let wait):
            self.init(
                .tooManyRequests, "Too many requests with a bad API key; wait \(wait) seconds.",
                headers: [.retryAfter: "\(wait)"])
        }
    }

    private init(_ refusal: LogRefusal) {
        switch refusal {
        case .unknownPage: self.init(.notFound, "There is no such page.")
        case .unknownTip: self.init(.notFound, "There is no tip of this id on the page.")
        case .refunded: self.init(.conflict, "The tip was refunded, and a refunded tip is not shown again.")
        case .goal(let refusal): self.init(refusal)
        case .conflict(let index, let field):
            switch field {
            case .tipID:
                self.init(
                    .conflict, "This id was used before, for a tip with other content.",
                    errors: [FieldError(field: "tips/\(index)/id", detail: "stands for a tip with other content")])
            case .idempotencyKey:
                self.init(
                    .conflict, "This key was used before on this page, for something else.",
                    errors: [FieldError(field: "Idempotency-Key", detail: "stands for a call with other content")])
            }
        }
    }

    private init(_ refusal: GoalRefusal) {
        func field(_ name: String, _ detail: String) -> Problem {
            Problem(
                .unprocessableContent, "Some fields are not valid.", errors: [FieldError(field: name, detail: detail)])
        }
        switch refusal {
        case .unknown: self.init(.notFound, "There is no goal of this id on the page.")
        case .taken: self.init(.conflict, "There is a goal of this id on the page already.")
        case .full:
            self.init(
                .unprocessableContent,
                "The page has \(Limits.goals) goals, and takes no more; remove one, a completed one for instance.")
        case .amountIsFinal:
            self = field("amountInCents", "can't be changed: the goal is completed; its description can")
        case .progressIsFinal:
            self = field("amountInCents", "can't move the goal's progress: it is completed, and a completed goal stays")
        case .outOfRange(let goal):
            self = field(
                "amountInCents",
                "must be from \(-goal.progressInCents) to \(goal.missingInCents): the goal has \(goal.progressInCents) of "
                    + "\(goal.amountInCents)")
        case .staleOrder(let difference): self.init(difference)
        }
    }

    /// Two people were at it: what the one who comes second must know to try again.
    private init(_ difference: OrderDifference) {
        func errors(_ ids: [String], _ detail: (String) -> String) -> [FieldError] {
            ids.map { FieldError(field: "ids", detail: detail(String($0.prefix(Limits.identifierCharacters)))) }
        }
        let added = Dictionary(uniqueKeysWithValues: difference.added.map { ($0.id, $0.description) })
        let completed = Dictionary(uniqueKeysWithValues: difference.completed.map { ($0.id, $0.description) })
        self.init(
            .unprocessableContent,
            "The order must name every goal that is not completed, once; the queue has changed since this one was made.",
            errors: errors(difference.added.map(\.id)) { "lacks '\($0)' (\(added[$0] ?? "")), which was added" }
                + errors(difference.removed) { "names '\($0)', which was removed" }
                + errors(difference.completed.map(\.id)) {
                    "names '\($0)' (\(completed[$0] ?? "")), which is completed and keeps its place"
                } + errors(difference.repeated) { "names '\($0)' more than once" },
            extensions: [
                ("added", difference.added.map(\.id)), ("removed", difference.removed),
                ("completed", difference.completed.map(\.id)),
            ])
    }

    private init(_ refusal: IntakeRefusal) {
        let detail: String
        switch refusal {
        case .full: detail = "Too many tips are waiting to be stored; send this again in a moment."
        case .closed: detail = "The server is shutting down; send this again in a moment."
        case .storeFailed: detail = "The tip could not be stored; send it again in a moment."
        case .storeFull:
            self = Self.diskIsFull
            return
        }
        self.init(.serviceUnavailable, detail, headers: [.retryAfter: "1"])
    }

    private init(_ refusal: DirectoryRefusal) {
        switch refusal {
        case .taken: self.init(.conflict, "This name is taken.")
        case .currencyInUse:
            self.init(
                .unprocessableContent, "Some fields are not valid.",
                errors: [
                    FieldError(field: "currency", detail: "can't be changed: there are tips or goals in the one before")
                ])
        case .missingReference: self.init(.notFound, "The page or account is gone.")
        }
    }

    private init(_ refusal: WebhookRefusal) {
        self.init(
            .unprocessableContent, "Some fields are not valid.",
            errors: [FieldError(field: "callback", detail: refusal.detail)])
    }

    private init(_ refusal: SubscriptionQuota.Refusal) {
        let detail =
            switch refusal {
            case .tooManyOfKey(let limit):
                "This key has \(limit) subscriptions, and may have no more; delete some first."
            case .tooManyOfPage(let limit): "The page has \(limit) subscriptions, and takes no more; delete some first."
            case .tooFast(let wait): "This key makes subscriptions too fast; wait \(wait) seconds."
            }
        self.init(.tooManyRequests, detail, headers: [.retryAfter: "\(refusal.retryAfter)"])
    }

    /// Seconds until a call is worth sending again when the disk is full: somebody has to make room first.
    private static let fullDiskSeconds = 10

    static let diskIsFull = Problem(
        .insufficientStorage,
        "The server's disk is full, so nothing of this was kept; send it again when there is room.",
        headers: [.retryAfter: "\(fullDiskSeconds)"])

    private static func sentence(for status: HTTPResponse.Status) -> String {
        switch status {
        case .notFound: "There is nothing at this address."
        case .contentTooLarge: "The request's body is too large."
        default: status.reasonPhrase
        }
    }
}

extension HTTPResponse.Status {
    /// RFC 4918, section 11.5.
    static let insufficientStorage = Self(code: 507, reasonPhrase: "Insufficient Storage")
}

extension HTTPField.Name {
    static let retryAfter = Self("Retry-After")!
    static let idempotencyKey = Self("Idempotency-Key")!
    static let forwardedFor = Self("X-Forwarded-For")!
    static let forwardedProto = Self("X-Forwarded-Proto")!
    static let referrerPolicy = Self("Referrer-Policy")!
    static let secFetchSite = Self("Sec-Fetch-Site")!
}
