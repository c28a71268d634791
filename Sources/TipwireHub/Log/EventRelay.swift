import Logging
import ServiceLifecycle
import TipwireCore
import TipwireStore

/// Carries the log to the fan-out: reads what follows its position, has it encoded once, and hands it over.
///
/// It waits until every shard has taken a batch before it reads the next one. That is the back-pressure of the whole
/// path (never more than one batch in memory), and what makes a burst cheap: whatever is committed while a fan-out runs
/// goes out together, as one write to each listener.
public struct EventRelay: Service {
    /// Most events of one read; what rides along with a wake-up has its own limit.
    static let batchEvents = 512
    /// How often the log is looked at without a wake-up, so that a lost one delays events and never loses them.
    static let pollInterval = Duration.seconds(1)

    private let store: any LogStore
    private let position: LogPosition
    private let wakeUp: WakeUp.Listener
    private let fanout: Fanout
    private let encoder: EventEncoder
    private let logger: Logger

    public init(
        store: any LogStore, position: LogPosition, wakeUp: WakeUp, fanout: Fanout, encoder: EventEncoder,
        logger: Logger
    ) {
        self.store = store
        self.position = position
        self.wakeUp = wakeUp.listen()
        self.fanout = fanout
        self.encoder = encoder
        self.logger = logger
    }

    public func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await relay() }
            group.addTask {
                while (try? await Task.sleep(for: Self.pollInterval)) != nil { wakeUp.signal() }
            }
            try? await gracefulShutdown()
            wakeUp.finish()
            group.cancelAll()
        }
    }

    private func relay() async {
        var relayed = fanout.start
        for await _ in wakeUp.signals {
            do {
                try await relayAll(after: &relayed)
            } catch is CancellationError {
                return
            } catch {
                // Nothing is lost: the position stands, and the next signal, at most a second away, reads again.
                logger.error("the log can't be read; listeners wait", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Relays until the log has nothing more. What was given out stays counted when a later read fails.
    private func relayAll(after relayed: inout Int64) async throws {
        while true {
            let batch = try await nextBatch(after: relayed)
            if batch.through == relayed { return }
            await fanout.deliver(
                encoder.encode(batch.events), through: batch.through, committedAt: batch.oldestCommit)
            relayed = batch.through
            // Level with all that this process knows of: whatever comes next has a signal of its own, and what other nodes
            // write is looked for by the clock. To read here each time would cost a commit one read more.
            if relayed == position.bounds.head { return }
        }
    }

    private func nextBatch(
        after relayed: Int64
    ) async throws -> (events: [Event], through: Int64, oldestCommit: ContinuousClock.Instant?) {
        // Commits hand their events along. They serve only while they follow on without a hole; everything else, and
        // everything another node wrote, comes from the log.
        let news = wakeUp.takeNews(after: relayed)
        if let last = news.events.last { return (news.events, last.sequence, news.oldestCommit) }
        let slice = try await store.events(after: relayed, pages: .all, limit: Self.batchEvents)
        position.advance(to: slice.bounds)
        if slice.bounds.prunedThrough > relayed {
            // Retention took what was not given out yet. Listeners are cut rather than left with a hole they can't see; they
            // come back with their cursors and are told of the gap.
            logger.error("retention removed events before they were delivered; retention.bytes is too small")
            await fanout.cutAll(because: "the log no longer holds what is missing")
        }
        return (slice.events, slice.through, news.oldestCommit)
    }
}
