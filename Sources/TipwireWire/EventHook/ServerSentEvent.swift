import NIOCore

/// Lines of an event stream (`text/event-stream`, WHATWG HTML, section 9.2).
///
/// Content only: how a connection carries it is `StreamFraming`'s business.
public enum ServerSentEvent {
    /// One message: an `id:` line if there is an id, one `data:` line, and the empty line that sends it off.
    ///
    /// - Parameters:
    ///   - data: one line. JSON as this server writes it is one: it escapes every line end.
    ///   - id: a cursor: printable ASCII, so no line end and no NUL, which would make a client ignore it.
    public static func message(_ data: ByteBuffer, id: String?) -> ByteBuffer {
        var message = ByteBuffer()
        message.reserveCapacity(data.readableBytes + 8 + (id.map { $0.utf8.count + 5 } ?? 0))
        if let id { message.writeString("id: \(id)\n") }
        message.writeStaticString("data: ")
        message.writeImmutableBuffer(data)
        message.writeStaticString("\n\n")
        return message
    }

    /// A comment, which keeps the connection alive and reaches no listener.
    public static let keepalive = ByteBuffer(string: ": keepalive\n\n")
}

/// How the content of a stream travels on its connection.
public enum StreamFraming: Hashable, Sendable {
    /// HTTP/1.1: a chunk for each piece (RFC 9112, section 7.1).
    case chunked
    /// As it is, to the end of the connection: HTTP/1.0, which has no chunks.
    case plain

    public func frame(_ content: ByteBuffer) -> ByteBuffer {
        switch self {
        case .plain: return content
        case .chunked:
            var chunk = ByteBuffer()
            chunk.reserveCapacity(content.readableBytes + 12)
            chunk.writeString(String(content.readableBytes, radix: 16))
            chunk.writeStaticString("\r\n")
            chunk.writeImmutableBuffer(content)
            chunk.writeStaticString("\r\n")
            return chunk
        }
    }

    /// What ends the stream so that the peer knows that nothing is missing; empty where the connection's end says it.
    public var end: ByteBuffer {
        switch self {
        case .plain: ByteBuffer()
        case .chunked: ByteBuffer(string: "0\r\n\r\n")
        }
    }
}
