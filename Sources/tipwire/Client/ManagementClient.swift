import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import TipwireCore

/// One call of the management API, or of another one beside it.
struct APIRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    let method: Method
    /// Segments after the root, not yet escaped.
    let path: [String]
    /// Segments before them.
    var root = ["api", "v1"]
    var query: [(name: String, value: String)] = []
    /// JSON, or nothing.
    var body: Data?
    var idempotencyKey: TipIdentifier?
    /// The page that a call of EventSub is about.
    var profile: Int?
    /// What the address names, for a 404 that says what to do.
    var subject: Refusal.Subject = .other

    init(_ method: Method, _ path: String...) { self.init(method, path) }

    init(_ method: Method, _ path: [String]) {
        self.method = method
        self.path = path
    }

    func about(_ subject: Refusal.Subject) -> APIRequest {
        var copy = self
        copy.subject = subject
        return copy
    }

    /// With `value` as its JSON body; nil members are left out, which the API takes as absent.
    func sending(_ value: some Encodable) throws -> APIRequest {
        var copy = self
        copy.body = try JSONEncoder().encode(value)
        return copy
    }
}

/// What the server answered, whatever it was.
struct APIAnswer: Sendable {
    let status: Int
    let location: String?
    /// `Retry-After` in seconds; the other form of that header, a date, Tipwire never sends.
    let retryAfterSeconds: Int?
    let body: Data

    var isSuccess: Bool { (200..<300).contains(status) }

    /// The body and a line end, nothing for an empty body.
    var jsonLine: String {
        let text = VisibleText.harmlessJSON(String(decoding: body, as: UTF8.self))
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? "" : text + "\n"
    }

    func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: body)
        } catch {
            throw Failure("the server's answer (\(status)) is not what this version expects; is --server right?")
        }
    }
}

extension APIAnswer {
    init(_ response: HTTPClientResponse, body: ByteBuffer) {
        self.init(
            status: Int(response.status.code), location: response.headers.first(name: "Location"),
            retryAfterSeconds: response.headers.first(name: "Retry-After").flatMap { Int($0) },
            body: Data(body.readableBytesView))
    }
}

/// Calls of the management API with one key, over connections that are kept.
///
/// A client of its own rather than `HTTPClient.shared`: the shared one waits ninety seconds for a connection, tries a
/// refused one again until then, and follows redirects, with the key in hand, to wherever it is sent.
struct ManagementClient: Sendable {
    static let connectSeconds: Int64 = 10
    static let answerSeconds: Int64 = 30
    /// Requests at a time on HTTP/1.1, so many connections; the same bound as `TipBurst` has.
    static let connections = 16
    /// Largest answer that is read, in bytes: a list of 1,000 rows at their largest (a tip takes about 8 KiB) and
    /// some room.
    static let answerBytes = 16 * 1024 * 1024

    let address: ServerAddress
    let key: PresentedKey
    private let http: HTTPClient

    init(address: ServerAddress, key: PresentedKey) {
        self.address = address
        self.key = key
        var configuration = Self.configuration
        configuration.timeout.read = .seconds(Self.answerSeconds)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.connections
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// What every HTTP client of this program has in common: it gives up on a connection early, and takes a key nowhere
    /// but to the address that was given.
    static var configuration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: clientTLS, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(connectSeconds)))
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }

    /// What the machine trusts, and what `SSL_CERT_FILE` names: for a server whose certificate is of one's own making. The
    /// variable is OpenSSL's, and most programs know it.
    static var clientTLS: TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let file = ProcessInfo.processInfo.environment["SSL_CERT_FILE"], !file.isEmpty {
            configuration.additionalTrustRoots = [.file(file)]
        }
        return configuration
    }

    /// Closing can only fail for a client that is closed already.
    func close() async { try? await http.shutdown() }

    /// What every call has in common, whoever sends it: where it goes, and whose it is.
    func clientRequest(_ request: APIRequest) -> HTTPClientRequest {
        var call = HTTPClientRequest(url: address.url(path: request.root + request.path, query: request.query))
        call.method = HTTPMethod(rawValue: request.method.rawValue)
        call.headers.add(name: "Authorization", value: "Bearer \(key.key.reveal())")
        call.headers.add(name: "User-Agent", value: "tipwire/\(Tipwire.version)")
        return call
    }

    /// The answer to `request`, a refusal included. Throws a `TransportFault` if there is none.
    func answer(
        _ request: APIRequest, within seconds: Int64 = answerSeconds
    ) async throws(TransportFault) -> APIAnswer {
        var call = clientRequest(request)
        call.headers.add(name: "Accept", value: "application/json, application/problem+json")
        if let body = request.body {
            call.headers.add(name: "Content-Type", value: "application/json")
            call.body = .bytes(ByteBuffer(bytes: body))
        }
        if let idempotencyKey = request.idempotencyKey {
            call.headers.add(name: "Idempotency-Key", value: idempotencyKey.text)
        }
        if let profile = request.profile { call.headers.add(name: "FUNPLACE-PROFILE-ID", value: String(profile)) }
        do {
            let response = try await http.execute(call, timeout: .seconds(seconds))
            let body = try await response.body.collect(upTo: Self.answerBytes)
            return APIAnswer(response, body: body)
        } catch is NIOTooManyBytesError {
            throw .other("its answer is larger than \(Self.answerBytes / 1024 / 1024) MiB")
        } catch {
            throw TransportFault(error)
        }
    }

    /// The answer to `request` if the server did what was asked, else a `Failure` with what to do about it.
    func call(_ request: APIRequest) async throws -> APIAnswer {
        let answer: APIAnswer
        do {
            answer = try await self.answer(request)
        } catch {
            throw Failure(error.message(address))
        }
        guard answer.isSuccess else { throw await refusal(of: request, answer) }
        return answer
    }

    /// The words for a refused call.
    ///
    /// A 404 for something on a page may as well mean the page itself, and the API doesn't say which; one more request
    /// does, and saves the user from listing the tips of a page that is not there. So it is with a webhook's deliveries.
    /// An amount that a goal doesn't take is refused in minor units; one more request has the goal, and what it takes
    /// can be said in money.
    func refusal(of request: APIRequest, _ answer: APIAnswer) async -> Failure {
        var subject = request.subject
        if answer.status == 404, let enclosing = subject.enclosing {
            let there = try? await self.answer(enclosing.request)
            if there?.status == 404 { subject = enclosing.subject }
        }
        var goal: GoalObject?
        if answer.status == 422, case .goalAmount(let change) = subject {
            goal = try? await goals(of: change.page).first { $0.id == change.goalID }
        }
        return Refusal(answer: answer, subject: subject, goal: goal, source: key.source, address: address).failure
    }

    /// The queue of a page, completed goals included.
    func goals(of page: Slug) async throws -> [GoalObject] {
        let answer = try await call(APIRequest(.get, "pages", page.text, "goals").about(.page(page)))
        return try answer.decoded(as: ListAnswer<GoalObject>.self).data
    }

    /// Most requests for one list, so that a server whose `next` runs in a circle can't hold the command for ever.
    static let listRequests = 1_000

    /// Every row of a list, following `next`.
    func allRows<Row: Decodable>(_ request: APIRequest) async throws -> [Row] {
        var rows: [Row] = []
        var after: String?
        for _ in 0..<Self.listRequests {
            var page = request
            if let after { page.query.append(("after", after)) }
            let list: ListAnswer<Row> = try await call(page).decoded()
            rows += list.data
            guard let next = list.next else { return rows }
            after = next
        }
        throw Failure("the server's list does not end after \(Self.listRequests) requests")
    }
}
