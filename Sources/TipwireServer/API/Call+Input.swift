import HTTPTypes
import Hummingbird
import NIOCore
import TipwireCore
import TipwireHub
import TipwireWire

extension Call {
    /// The body as JSON. Refuses other media types (415), too many bytes (413) and what isn't JSON (400).
    func json(upTo limit: Int = Limits.requestBytes) async throws -> JSONValue {
        let mediaType = request.headers[.contentType]?.split(separator: ";").first
            .map { $0.lowercased().filter { $0 != " " } }
        guard mediaType == "application/json" else {
            throw Problem(.unsupportedMediaType, "Send JSON, with 'Content-Type: application/json'.")
        }
        let body = try await body(upTo: limit)
        do {
            return try JSONValue.parse(body)
        } catch {
            throw Problem(.badRequest, "The body is not JSON: \(error)")
        }
    }

    /// The body as JSON, nil when there is none.
    func jsonIfAny() async throws -> JSONValue? {
        let hasType = request.headers[.contentType] != nil
        if hasType { return try await json() }
        try await requireNoBody()
        return nil
    }

    /// Refuses a body that says something: a call that takes none would do otherwise than its caller thinks.
    func requireNoBody() async throws {
        let body = try await body(upTo: Limits.requestBytes)
        guard !body.readableBytesView.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else { return }
        guard let value = try? JSONValue.parse(body) else {
            throw Problem(.badRequest, "This call takes no body, and this one is not JSON.")
        }
        var reader = try ObjectReader(value)
        try reader.finish()
    }

    /// The body, whole, of a caller who still has access when it has arrived.
    private func body(upTo limit: Int) async throws -> ByteBuffer {
        if let length = contentLength, length > limit {
            throw Problem.tooLarge(limit)
        }
        let body: ByteBuffer
        do {
            body = try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw Problem.tooLarge(limit)
        } catch let error as HTTPError where error.status == .contentTooLarge {
            throw Problem.tooLarge(limit)
        } catch is WholeBody.CutShort {
            // By the peer, or at the end of a drain: nobody's mistake.
            throw Problem(
                .serviceUnavailable, "The body did not arrive whole; send it again.", headers: [.retryAfter: "1"])
        }
        try await confirm()
        return body
    }

    private var contentLength: Int? { request.headers[.contentLength].flatMap { Int($0) } }

    /// The bytes that the body may take: what it says, or all it might.
    func announcedBytes(upTo limit: Int) -> Int {
        contentLength.map { min(max($0, 0), limit) } ?? limit
    }

    /// The `Idempotency-Key`, nil when there is none.
    func idempotencyKey() throws(InvalidInput) -> TipIdentifier? {
        guard let text = request.headers[.idempotencyKey] else { return nil }
        guard let key = TipIdentifier(text) else {
            throw InvalidInput(field: "Idempotency-Key", TipIdentifier.rule)
        }
        return key
    }

    var query: QueryString { QueryString(target: request.uri.string) }

    /// `limit` of a list.
    func rowLimit() throws(InvalidInput) -> Int {
        guard let text = query["limit"] else { return Limits.defaultListRows }
        guard let limit = Int(text), Limits.listRows.contains(limit) else {
            throw InvalidInput(
                field: "limit",
                "must be a whole number from \(Limits.listRows.lowerBound) to \(Limits.listRows.upperBound)")
        }
        return limit
    }

    /// The page that the path names, if this caller may see it. One answer for unknown and not visible.
    func page(in directory: Directory) throws -> Page {
        let text = try parameter("slug")
        guard let slug = Slug(text), let page = directory.page(slug, seenBy: principal) else {
            throw Problem(.notFound, "There is no page '\(Slug(text)?.text ?? "")' here.")
        }
        return page
    }
}

extension Directory {
    /// The page of a slug, if this caller may see it.
    func page(_ slug: Slug, seenBy principal: Principal) -> Page? {
        look { $0.page(slug: slug) }.flatMap { principal.maySee($0) ? $0 : nil }
    }
}

extension Problem {
    static func tooLarge(_ limit: Int) -> Problem {
        Problem(.contentTooLarge, "The body is too large: at most \(limit) bytes.")
    }
}
