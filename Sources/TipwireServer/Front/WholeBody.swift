import Hummingbird
import HummingbirdCore
import NIOCore

/// A request's body, which ends only when all of it has come.
///
/// The HTTP service takes the end of a connection for the end of a body, and what was cut short would pass for the whole. A body whose
/// length was announced could be counted; one that comes in chunks, or by HTTP/2 without a length, can't. The gate knows,
/// so it is asked.
struct WholeBody: AsyncSequence, Sendable {
    /// Thrown in the place of the end: the client or the connection went away before it, or the time for it ran out.
    struct CutShort: Error {}

    let body: RequestBody
    let channel: any Channel
    /// The client holds the body back until it is told to send it.
    let isAwaited: Bool

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(body: body.makeAsyncIterator(), channel: channel, isAwaited: isAwaited)
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        var body: RequestBody.AsyncIterator
        let channel: any Channel
        var isAwaited: Bool

        mutating func next() async throws -> ByteBuffer? {
            if isAwaited {
                isAwaited = false
                channel.triggerUserOutboundEvent(BodyWanted(), promise: nil)
            }
            if let piece = try await body.next() { return piece }
            do { try await channel.triggerUserOutboundEvent(BodyEnd()) } catch { throw CutShort() }
            return nil
        }
    }
}

/// Said down the pipeline by the HTTP service when it begins to read a request's body.
struct BodyWanted: Sendable {}

/// Asked down the pipeline by the HTTP service when a body seems to have ended. It succeeds if all of the request has come.
struct BodyEnd: Sendable {}
