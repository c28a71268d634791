import NIOCore
import NIOEmbedded
import NIOHTTP1
import TipwireWire

/// The request decoder, and what is checked of each head behind it. And the heads that are read without it: in the same way.
enum HeadTarget {
    static func run(_ input: ByteBuffer) {
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(RequestDecoder()))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        do {
            try channel.writeInbound(input)
        } catch let fault as RequestFault {
            let answer = HeadCheck.refusal(for: fault)
            precondition((400..<600).contains(answer.status.code), "bytes that are no request are refused")
        } catch {
            // The decoder is given bytes that it has refused; nothing can come of them.
        }
        var plain = input.withUnsafeReadableBytes { PlainHead.read($0) }?.head
        while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
            if let read = plain {
                guard case .head(let head) = part else { preconditionFailure("something comes before the head") }
                precondition(read.uri == head.uri && read.method == head.method && read.version == head.version)
                precondition(
                    read.headers.elementsEqual(head.headers) { $0.name == $1.name && $0.value == $1.value },
                    "other headers than the decoder's")
                precondition(
                    (try? channel.readInbound(as: HTTPServerRequestPart.self)).flatMap { $0 } == .end(nil), "a body")
                plain = nil
            }
            guard case .head(var head) = part, HeadCheck.refusal(of: &head) == nil else { continue }
            check(head)
        }
        precondition(plain == nil, "a head that the decoder doesn't take")
    }

    /// What whoever stands behind this may rely on.
    private static func check(_ head: HTTPRequestHead) {
        precondition(head.headers["host"].count <= 1, "two hosts")
        precondition(head.headers["content-length"].count <= 1, "two lengths")
        let codings = head.headers["transfer-encoding"]
        precondition(codings.isEmpty || head.headers["content-length"].isEmpty, "a length and chunks")
        precondition(codings.isEmpty || codings.map { $0.lowercased() } == ["chunked"], "another coding than chunked")
        precondition(head.uri.hasPrefix("/") || head.uri == "*", "a target that is no path")
        for header in head.headers {
            precondition(!header.value.utf8.contains { $0 == 0x0A || $0 == 0x0D || $0 == 0 }, "a line end in a value")
        }
        let query = QueryString(target: head.uri)
        for name in query.names { _ = query[name] }
    }
}
