import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import TipwireWire

/// An answer that is given without the HTTP service: a refusal, with which the connection ends, or what a tip came to that went
/// the short way.
struct FrontAnswer {
    let status: HTTPResponseStatus
    private(set) var body: ByteBuffer
    var headers: HTTPHeaders

    /// No content (204), so no headers that speak of one.
    init(headers extra: HTTPHeaders) {
        status = .noContent
        body = ByteBuffer()
        headers = ["cache-control": "no-store", "connection": "close"]
        headers.add(contentsOf: extra)
    }

    /// One with which the connection goes on.
    init(status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// `{"error":"…"}`.
    init(status: HTTPResponseStatus, message: String, headers extra: HTTPHeaders = [:]) {
        self.status = status
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        writer.member("error", message)
        writer.endObject()
        body = writer.finish()
        headers = [
            "content-type": "application/json", "cache-control": "no-store",
            "content-length": "\(body.readableBytes)", "connection": "close",
        ]
        headers.add(contentsOf: extra)
    }

    /// The answer to a HEAD: its headers tell of a body that isn't sent.
    var withoutBody: FrontAnswer {
        var answer = self
        answer.body = ByteBuffer()
        return answer
    }

    static let slowBody = FrontAnswer(
        status: .requestTimeout, message: "The request's body did not come in time.")
    static let shuttingDown = FrontAnswer(
        status: .serviceUnavailable, message: "The server is shutting down.", headers: ["retry-after": "5"])
    static let unavailable = FrontAnswer(
        status: .serviceUnavailable, message: "The server can't look this up now; try again.",
        headers: ["retry-after": "5"])

    var head: HTTPResponseHead { HTTPResponseHead(version: .http1_1, status: status, headers: headers) }

    /// The head for HTTP/2, where nothing speaks of the connection (RFC 9113, 8.2.2).
    var response: HTTPResponse {
        var fields = HTTPFields(headers, splitCookie: false)
        fields[.connection] = nil
        return HTTPResponse(status: .init(code: Int(status.code)), headerFields: fields)
    }

    /// The whole answer, for a pipeline without an encoder.
    var bytes: ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 512 + body.readableBytes)
        buffer.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        for (name, value) in headers {
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
            buffer.writeStaticString("\r\n")
        }
        buffer.writeStaticString("\r\n")
        buffer.writeImmutableBuffer(body)
        return buffer
    }
}
