import HTTPTypes
import Hummingbird
import NIOCore
import Testing
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

@testable import TipwireServer

@Suite("Errors become statuses")
struct ProblemTests {
    private static let cases: [(any Error & Sendable, Int)] = [
        (Problem(.forbidden, "no"), 403),
        (InvalidInput(field: "slug", "is bad"), 422),
        (Authenticator.Failure.missing, 401),
        (Authenticator.Failure.invalid, 401),
        (Authenticator.Failure.throttled(retryAfter: 7), 429),
        (LogRefusal.unknownPage, 404),
        (LogRefusal.unknownTip, 404),
        (LogRefusal.conflict(index: 2, field: .tipID), 409),
        (LogRefusal.conflict(index: 0, field: .idempotencyKey), 409),
        (IntakeRefusal.full, 503),
        (IntakeRefusal.closed, 503),
        (IntakeRefusal.storeFailed, 503), (IntakeRefusal.storeFull, 507), (StoreFull("the disk is full"), 507),
        (StoreFailing("the disk reported an error"), 503),
        (DirectoryRefusal.taken, 409),
        (DirectoryRefusal.currencyInUse, 422),
        (DirectoryRefusal.missingReference, 404),
        (HTTPError(.notFound), 404),
        (HTTPError(.contentTooLarge), 413),
        (NIOTooManyBytesError(maxBytes: 1), 413),
        (CancellationError(), 503),
        (ChannelError.inputClosed, 503),
    ]

    @Test("Each error that callers may cause has its status", arguments: cases)
    func statuses(error: any Error & Sendable, status: Int) throws {
        let problem = try #require(Problem(error))
        #expect(problem.status.code == status)
        #expect(!problem.detail.isEmpty)
    }

    private struct EncodingFault: Error {}

    @Test("Every other error is nobody's to see")
    func internals() {
        let others: [any Error] = [
            StoreUnusable("/secret/path"), StartupError("/secret/path"), EncodingFault(),
        ]
        for error in others { #expect(Problem(error) == nil, "\(error)") }
    }

    @Test("401 carries the challenge, 429 and 503 a time to come back")
    func headers() {
        #expect(Problem(Authenticator.Failure.missing)?.headers[.wwwAuthenticate] == "Bearer")
        #expect(Problem(Authenticator.Failure.invalid)?.headers[.wwwAuthenticate] == "Bearer")
        #expect(Problem(Authenticator.Failure.throttled(retryAfter: 7))?.headers[HTTPField.Name("Retry-After")!] == "7")
        let refusals: [any Error] = [
            IntakeRefusal.full, IntakeRefusal.closed, IntakeRefusal.storeFailed, CancellationError(),
        ]
        for refusal in refusals {
            #expect(Problem(refusal)?.headers[HTTPField.Name("Retry-After")!] == "1")
        }
    }

    @Test("A conflict names the field that it is about")
    func conflicts() {
        #expect(
            Problem(LogRefusal.conflict(index: 2, field: .tipID))?.errors.map(\.field) == ["tips/2/id"])
        #expect(
            Problem(LogRefusal.conflict(index: 0, field: .idempotencyKey))?.errors.map(\.field)
                == ["Idempotency-Key"])
        #expect(Problem(DirectoryRefusal.currencyInUse)?.errors.map(\.field) == ["currency"])
    }
}

@Suite("Problems on the wire", .timeLimit(.minutes(1)))
struct ProblemAnswerTests {
    @Test("A problem is application/problem+json of the members that RFC 9457 names, and of errors")
    func shape() async throws {
        try await TestServer.run { server in
            let reply = try await server.call(
                "POST", "/api/v1/pages", key: server.admin, json: #"{"slug":"-","title":" ","extra":1,"url":"x"}"#)
            #expect(reply.status == 422)
            #expect(reply.header("content-type") == "application/problem+json")
            #expect(reply.header("cache-control") == "no-store")
            #expect(reply.json.names == ["type", "title", "status", "detail", "errors"])
            #expect(reply.json["type"]?.text == "about:blank")
            #expect(reply.json["title"]?.text == "Unprocessable Content")
            #expect(reply.json["status"]?.integer == 422)
            #expect(Set(reply.badFields) == ["slug", "title", "extra", "url"])
            let bare = try await server.call("GET", "/nowhere")
            #expect(bare.status == 404)
            #expect(bare.json.names == ["type", "title", "status", "detail"])
        }
    }

    @Test("A fault of the server's own is 500 without a word of its reason")
    func fault() async throws {
        try await TestServer.run {
            $0.store = { FaultyStore(real: $0, beforeTips: { throw StoreUnusable("/secret/path is damaged") }) }
        } _: { server in
            let reply = try await server.call("GET", "/api/v1/pages/main/tips", key: server.admin)
            #expect(reply.status == 500)
            #expect(reply.header("content-type") == "application/problem+json")
            #expect(!(reply.head + reply.body).contains("secret"))
        }
    }

    @Test("A tip that can't be stored is 503 with a time to come back, and without a word of the reason")
    func storeFailure() async throws {
        try await TestServer.run {
            $0.store = { FaultyStore(real: $0, beforeCommit: { throw StoreUnusable("/secret/path is full") }) }
        } _: { server in
            let reply = try await server.call(
                "POST", "/api/v1/pages/main/tips", key: server.admin, json: #"{"grossAmountInCents":500}"#)
            #expect(reply.status == 503 && reply.header("retry-after") == "1")
            #expect(!reply.body.contains("secret"))
        }
    }
}
