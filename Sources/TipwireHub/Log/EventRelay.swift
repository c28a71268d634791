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
    private let metrics: HubMetrics
    private let logger: Logger

    public init(
        store: any LogStore, position: LogPosition, wakeUp: WakeUp, fanout: Fanout, encoder: EventEncoder,
        metrics: HubMetrics, logger: Logger
    ) {
        self.store = store
        self.position = position
        self.wakeUp = wakeUp.listen()
        self.fanout = fanout
        self.encoder = encoder
        self.metrics = metrics
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
        var epoch = position.epoch
        for await _ in wakeUp.signals {
            do {
                if position.epoch != epoch {
                    let bounds = position.bounds
                    (relayed, epoch) = (bounds.head, bounds.epoch)
                    await fanout.restart(after: relayed)
                }
                try await relayAll(after: &relayed)
            } catch is CancellationError {
                return
            } catch {
                // Nothing is lost: the position stands, and the next signal, at most a second away, reads again.
                logger.error("the log can't be read; listeners wait", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Relays until nothing more is known of. What was given out stays counted when a later read fails.
    private func relayAll(after relayed: inout Int64) async throws {
        var mustRead = false
        while true {
            // Commits hand their events along. They serve while they follow on without a hole; the rest is in the log. What was
            // told whole is all there is, and whatever comes next has a signal of its own: to read here each time would cost
            // a commit one read more, and each node one for every commit of all others.
            let news = wakeUp.takeNews(after: relayed)
            mustRead = mustRead || !news.isWhole
            var batch = (events: news.events, through: news.events.last?.sequence ?? relayed)
            if news.events.isEmpty {
                guard mustRead else { return }
                batch = try await read(after: relayed)
                mustRead = batch.through < position.bounds.head
                if batch.through == relayed { return }
            }
            let events = try await encoder.encode(batch.events)
            await fanout.deliver(events, through: batch.through, committedAt: news.oldestCommit)
            relayed = batch.through
        }
    }

    private func read(after relayed: Int64) async throws -> (events: [Event], through: Int64) {
        metrics.logReads.add(1)
        let slice = try await store.events(after: relayed, pages: .all, limit: Self.batchEvents)
        position.advance(to: slice.bounds)
        if slice.bounds.prunedThrough > relayed {
            // Retention took what was not given out yet. Listeners are cut rather than left with a hole they can't see; they
            // come back with their cursors and are told of the gap.
            logger.error("retention removed events before they were delivered; retention.bytes is too small")
            await fanout.cutAll(because: "the log no longer holds what is missing")
        }
        return (slice.events, slice.through)
    }
}
