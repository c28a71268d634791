import HTTPTypes
import Hummingbird
import NIOCore
import TipwireCore
import TipwireHub
import TipwireStore
import TipwireWire

/// Makers of the API's answers.
enum Answer {
    static func json(
        _ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], capacity: Int = 512,
        _ write: (inout JSONWriter) -> Void
    ) -> Response {
        let (fields, body) = json(headers: headers, capacity: capacity, write)
        return Response(status: status, headers: fields, body: .init(byteBuffer: body))
    }

    /// The same, not yet put together.
    static func json(
        headers: HTTPFields = [:], capacity: Int, _ write: (inout JSONWriter) -> Void
    ) -> (fields: HTTPFields, body: ByteBuffer) {
        var writer = JSONWriter(capacity: capacity)
        write(&writer)
        let body = writer.finish()
        var fields = headers
        fields[.contentType] = "application/json"
        fields[.cacheControl] = "no-store"
        fields[.contentLength] = "\(body.readableBytes)"
        return (fields, body)
    }

    static func noContent() -> Response { Response(status: .noContent) }

    /// `{"data":[…],"next":…}`.
    static func list<Row>(
        _ rows: [Row], next: String?, _ write: (Row, inout JSONWriter) -> Void
    ) -> Response {
        json(capacity: 256 * (rows.count + 1)) { writer in
            writer.beginObject()
            writer.key("data")
            writer.beginArray()
            for row in rows { write(row, &writer) }
            writer.endArray()
            writer.member("next", next)
            writer.endObject()
        }
    }

    /// A page of a list that is in memory, each row named by its `id`.
    static func list<Row>(
        _ rows: [Row], id: (Row) -> String, call: Call, _ write: (Row, inout JSONWriter) -> Void
    ) throws -> Response {
        let (rows, next) = try page(of: rows, id: id, call: call)
        return list(rows, next: next, write)
    }

    /// The rows of such a page, and what names the next one.
    static func page<Row>(
        of rows: [Row], id: (Row) -> String, call: Call
    ) throws -> (rows: [Row], next: String?) {
        let limit = try call.rowLimit()
        var start = 0
        if let after = call.query.nonEmpty("after") {
            guard let index = rows.firstIndex(where: { id($0) == after }) else {
                throw InvalidInput(field: "after", "names a row that isn't there any more; begin the list again")
            }
            start = index + 1
        }
        let page = Array(rows[start...].prefix(limit))
        let next = start + page.count < rows.count ? page.last.map(id) : nil
        return (page, next)
    }
}

/// The API's forms of what the directory holds.
enum DirectoryObject {
    static func write(_ page: Page, view: DirectoryView, publicURL: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", page.publicID)
        writer.member("slug", page.slug.text)
        writer.member("title", page.title)
        writer.member("url", page.url(publicURL: publicURL))
        writer.member("currency", page.currency.code)
        writer.member("profileId", Int(page.id.rawValue))
        writer.member("owner", view.account(page.owner)?.name.text)
        writer.key("members")
        writer.beginArray()
        for name in page.members.compactMap({ view.account($0)?.name.text }).sorted() { writer.value(name) }
        writer.endArray()
        writer.member("createdAt", page.createdAt)
        writer.endObject()
    }

    static func write(_ account: Account, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", account.publicID)
        writer.member("name", account.name.text)
        writer.member("createdAt", account.createdAt)
        writer.endObject()
    }

    /// - Parameter plaintext: the key itself, in the one answer that shows it.
    static func write(
        _ key: KeyRecord, plaintext: String? = nil, lastUsedAt: Timestamp?, view: DirectoryView,
        to writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.member("id", key.id)
        if let plaintext { writer.member("key", plaintext) }
        writer.member("prefix", key.prefix)
        writer.member("name", key.name)
        writer.key("scopes")
        writer.beginArray()
        for scope in key.scopes { writer.value(scope.rawValue) }
        writer.endArray()
        writer.key("pages")
        if let pages = key.pages {
            writer.beginArray()
            for slug in pages.compactMap({ view.page($0)?.slug.text }).sorted() { writer.value(slug) }
            writer.endArray()
        } else {
            writer.null()
        }
        writer.member("account", view.account(key.account)?.name.text)
        writer.member("createdAt", key.createdAt)
        writer.member("expiresAt", key.expiresAt)
        if plaintext == nil { writer.member("lastUsedAt", lastUsedAt) }
        writer.endObject()
    }
}

/// What a command did.
enum LogAnswerObject {
    /// `{tip,events,cursor}`: what became of a tip.
    static func write(_ answer: LogAnswer, epoch: String, to writer: inout JSONWriter) {
        guard case .tip(let tip) = answer.subject else { preconditionFailure("the answer is about a tip") }
        writer.beginObject()
        writer.key("tip")
        TipObject.write(tip, page: answer.page, to: &writer)
        writeEvents(of: answer, epoch: epoch, to: &writer)
        writer.endObject()
    }

    /// The members `events` and `cursor`.
    static func writeEvents(of answer: LogAnswer, epoch: String, to writer: inout JSONWriter) {
        writer.key("events")
        writer.beginArray()
        for event in answer.events { EventObject.write(event, page: answer.page, epoch: epoch, to: &writer) }
        writer.endArray()
        writer.member("cursor", Cursor(epoch: epoch, sequence: answer.lastSequence))
    }
}
