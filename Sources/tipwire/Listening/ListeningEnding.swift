import Foundation
import NIOCore
import NIOHTTP1

/// How one connection ended, or why there was none.
enum ListeningEnding: Error, Hashable, Sendable {
    case unreachable(TransportFault)
    /// Answered with something else than a feed or a stream; the detail is the server's `error`.
    case refused(status: Int, detail: String?, retryAfterSeconds: Int?)
    /// The close frame of a feed.
    case closed(code: Int, reason: String)
    /// The orderly end of a stream, which names no reason.
    case ended
    /// The end of the connection without either.
    case lost
    /// The connection stands, but nothing comes over it; the words say what was waited for.
    case silent(String)
    /// A subscription came to its end, or was not there any more; the words are the server's. Another can be made.
    case subscriptionOver(String)
    /// A message that is larger than any of Tipwire's.
    case oversized(bytes: Int)

    /// What is said before `, again in 1.3 s`.
    func message(_ address: ServerAddress) -> String {
        switch self {
        case .unreachable(.refused): "no Tipwire at \(address) (start one with: tipwire serve)"
        case .unreachable(let fault): fault.message(address)
        case .refused(let status, let detail, _):
            "the server answered \(status)" + (detail.map { " (\(VisibleText($0)))" } ?? "")
        case .closed(let code, let reason):
            "the server closed the connection (\(code)" + (reason.isEmpty ? ")" : ": \(VisibleText(reason)))")
        case .ended: "the server ended the stream"
        case .lost: "connection lost"
        case .silent(let words): "connection lost (\(words))"
        case .subscriptionOver(let reason):
            "the subscription is over" + (reason.isEmpty ? "" : " (\(VisibleText(reason)))")
        case .oversized(let bytes): "a message was longer than \(bytes) bytes"
        }
    }
}

extension ListeningEnding {
    /// Largest body of a refusal that is read, in bytes: it is one short sentence.
    static let refusalBytes = 16 * 1024

    /// - Parameter body: As much of it as came.
    static func refusal(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, body: ByteBuffer) -> ListeningEnding {
        struct Reason: Decodable { let error: String }
        return .refused(
            status: Int(status.code),
            detail: (try? JSONDecoder().decode(Reason.self, from: Data(body.readableBytesView)))?.error,
            retryAfterSeconds: headers.first(name: "Retry-After").flatMap { Int($0) })
    }
}
