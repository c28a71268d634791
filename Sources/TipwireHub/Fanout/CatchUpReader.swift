import Logging
import NIOCore
import ServiceLifecycle
import TipwireCore
import TipwireStore

/// Reads the log for listeners that are behind, a bounded stretch at a time, a few at once.
///
/// After a restart every listener comes back with a cursor at the same moment. They queue here, one request each, so that
/// neither the store's readers nor memory are taken by storm.
public final class CatchUpReader: Service {
    /// Most entries of one stretch; with the limit on an event's size, at most a few MiB.
    static let stretchEvents = 256
    /// Reads under way at a time.
    static let workers = 3

    struct Answer: Sendable {
        let entries: [ByteBuffer]
        let through: Int64
        let bounds: LogBounds
    }

    private struct Request: Sendable {
        let after: Int64
        let key: SubscriberGroup.Key
        let done: @Sendable (Answer?) -> Void
    }

    private let store: any LogStore
    private let directory: Directory
    private let encoder: EventEncoder
    private let logger: Logger
    /// Unbounded by itself; bounded by its writers: a listener has at most one request in it.
    private let requests: AsyncStream<Request>
    private let continuation: AsyncStream<Request>.Continuation

    public init(store: any LogStore, directory: Directory, encoder: EventEncoder, logger: Logger) {
        self.store = store
        self.directory = directory
        self.encoder = encoder
        self.logger = logger
        (requests, continuation) = AsyncStream.makeStream()
    }

    /// - Parameter done: called on any thread, with nil when the log could not be read.
    func read(after sequence: Int64, key: SubscriberGroup.Key, done: @escaping @Sendable (Answer?) -> Void) {
        continuation.yield(Request(after: sequence, key: key, done: done))
    }

    public func run() async throws {
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                var running = 0
                for await request in requests {
                    if running == Self.workers { await group.next() } else { running += 1 }
                    group.addTask { await self.serve(request) }
                }
            }
        } onGracefulShutdown: {
            self.continuation.finish()
        }
    }

    private func serve(_ request: Request) async {
        do {
            let pages = directory.look { request.key.audience.pages(in: $0) }
            let slice = try await store.events(
                after: request.after, pages: .some(pages), limit: Self.stretchEvents)
            let entries = encoder.encode(slice.events).compactMap { $0.bytes(in: request.key.dialect) }
            request.done(Answer(entries: entries, through: slice.through, bounds: slice.bounds))
        } catch {
            logger.error("the log can't be read for a listener that is behind", metadata: ["error": "\(error)"])
            request.done(nil)
        }
    }
}
